//! Buckets, in a build that knows none: there is never one.

use std::fs::File;
use std::io;

use hyper::body::Bytes;

use super::{Object, Terms};
use crate::config::BucketAddress;
use crate::digest::Digest;

/// There is none.
#[derive(Debug)]
pub enum Bucket {}

/// There is none.
#[derive(Debug)]
pub enum Stream {}

impl Stream {
    /// Never asked.
    pub fn bytes(&self) -> u64 {
        match *self {}
    }

    /// Never asked.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match *self {}
    }
}

impl Bucket {
    /// Says what to build with.
    pub fn open(address: &BucketAddress, _: &Terms) -> io::Result<Self> {
        Err(io::Error::other(address.provider().left_out().unwrap_or_default()))
    }

    pub fn place(&self, _: &str) -> String {
        match *self {}
    }

    pub async fn read(&self, _: &str) -> io::Result<Stream> {
        match *self {}
    }

    pub async fn size(&self, _: &str) -> io::Result<Option<u64>> {
        match *self {}
    }

    pub async fn write(&self, _: &str, _: File, _: u64, _: u64) -> io::Result<Digest> {
        match *self {}
    }

    pub async fn remove(&self, _: &str) -> io::Result<()> {
        match *self {}
    }

    pub async fn objects(&self, _: &str) -> io::Result<Vec<Object>> {
        match *self {}
    }

    pub async fn url(&self, _: &str) -> io::Result<Option<String>> {
        match *self {}
    }

    pub async fn look(&self) -> io::Result<()> {
        match *self {}
    }
}
