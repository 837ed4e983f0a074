//! Lazaret: a sandboxed image-conversion worker with upload quarantine.
//!
//! The flow, in the order of the modules: a [`broker`] delivers a [`job`], which names an upload and a [`recipe`]; the upload is found
//! in a [`store`] and [`fetch`]ed, hashed to its [`digest`]; the [`ledger`] knows whether it is in [`quarantine`], already made, or in flight,
//! and records the attempt; the [`sandbox`] runs a child that [`convert`]s it under limits, and tells the outcome; [`blame`] decides what
//! that counts for, and the [`breaker`] whether to believe it; the [`verdict`] is told in an [`event`]. [`pipeline`] is that flow as one function; [`service`] runs it for ever.
//! Beside the flow, what it does is noted in [`vitals`]; [`health`] judges them, [`metrics`] writes them down, [`traces`] tell of each job, and [`admin`] answers whoever asks, the [`supervisor`] among them; operators meet it at their [`desk`], and [`notices`] go to whoever wants to be told.

pub mod admin;
pub mod admission;
pub mod blame;
pub mod breaker;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod convert;
pub mod desk;
pub mod digest;
pub mod event;
pub mod expiry;
pub mod fetch;
pub mod flights;
pub mod format;
pub mod health;
mod http;
pub mod info;
pub mod job;
pub mod ledger;
pub mod metrics;
pub mod notices;
pub mod notify;
mod owned;
pub mod pipeline;
pub mod quarantine;
pub mod recipe;
pub mod sandbox;
pub mod service;
pub mod specimens;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod tenants;
pub mod traces;
mod trust;
pub mod verdict;
pub mod vitals;
