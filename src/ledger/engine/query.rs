//! One statement with its values, and the rows that come of it, whichever database answers.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use super::{Fault, Wire};

/// A statement, and the values of its parameters, in their order.
pub(in crate::ledger) struct Query {
    pub(in crate::ledger) statement: &'static str,
    pub(in crate::ledger) values: Vec<Value>,
}

/// A value that is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ledger) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Flag(bool),
}

/// A row of some database.
pub(in crate::ledger) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What a cell of a row may be read as.
pub(in crate::ledger) trait Cell:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Cell for T where T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres> {}

/// A statement without values yet.
pub(in crate::ledger) fn query(statement: &'static str) -> Query {
    Query {
        statement,
        values: Vec::new(),
    }
}

impl Query {
    #[must_use]
    pub(in crate::ledger) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    pub(in crate::ledger) async fn execute(self, on: &mut dyn Wire) -> Result<u64, Fault> {
        on.change(self).await
    }

    pub(in crate::ledger) async fn fetch_all(self, on: &mut dyn Wire) -> Result<Vec<Row>, Fault> {
        on.rows(self).await
    }

    pub(in crate::ledger) async fn fetch_optional(self, on: &mut dyn Wire) -> Result<Option<Row>, Fault> {
        Ok(on.rows(self).await?.into_iter().next())
    }

    pub(in crate::ledger) async fn fetch_one(self, on: &mut dyn Wire) -> Result<Row, Fault> {
        let row = self.fetch_optional(on).await?;
        row.ok_or_else(|| Fault::Sql(sqlx::Error::RowNotFound))
    }
}

impl Row {
    pub(in crate::ledger) fn try_get<T: Cell>(&self, column: &str) -> Result<T, sqlx::Error> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }
}

macro_rules! values {
    ($($from:ty, $value:ident => $into:expr;)*) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Self {
                $into
            }
        })*
    };
}

values! {
    i64, number => Self::Int(Some(number));
    u32, number => Self::Int(Some(number.into()));
    u8, number => Self::Int(Some(number.into()));
    Option<i64>, number => Self::Int(number);
    String, text => Self::Text(Some(text));
    &'static str, text => Self::Text(Some(text.to_owned()));
    Option<String>, text => Self::Text(text);
    Option<&'static str>, text => Self::Text(text.map(str::to_owned));
    bool, flag => Self::Flag(flag);
}
