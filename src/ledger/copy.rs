//! A ledger copied from SQLite into PostgreSQL: all of it or nothing.
//!
//! In: a file that no worker uses, and an empty ledger. Out: rows per table, counted on both sides before they count. While it runs, both are
//! locked against writers. It is one transaction there: a copy that is cut short leaves nothing, and is begun again.

use std::collections::HashMap;
use std::path::Path;

use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row};

use super::engine::Fault;
use super::inventory::TABLES;
use super::postgres::{Postgres, statements as target};
use super::sqlite::{Sqlite, statements as source};
use super::{Ledger, LedgerError};

/// How much is sent at a time.
const CHUNK: usize = 256 * 1024;

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Which.
    pub table: &'static str,
    /// Rows, as many there as here.
    pub rows: u64,
    /// Characters that PostgreSQL cannot keep (NUL), each replaced by U+FFFD.
    pub replaced: u64,
}

/// Copies the ledger in a file into an empty one.
///
/// # Errors
/// The file is in use by a worker; the other ledger is not empty; a column or a row would be lost.
pub async fn copy(from: &Path, to: &Postgres) -> Result<Vec<Copied>, LedgerError> {
    let file = Sqlite::open_existing(from).await?;
    let mut reading = file.begin_alone().await?;
    let nobody = nobody_works(&mut reading).await;
    nobody.map_err(|fault| file.failed(fault))?;
    let copied = copy_all(&mut reading, to).await;
    drop(reading);
    file.close().await;
    copied.map_err(|fault| to.failed(fault))
}

/// What a worker wrote after its table was read would be lost.
async fn nobody_works(from: &mut SqliteConnection) -> Result<(), Fault> {
    let rows = sqlx::query(source::LIVING).fetch_all(from).await?;
    let names: Vec<String> = rows.iter().map(|row| row.try_get("worker")).collect::<Result<_, _>>()?;
    match names.is_empty() {
        true => Ok(()),
        false => Err(Fault::Request(format!(
            "is in use by {}: stop all workers; one that was killed counts as gone half a minute later",
            names.join(", ")
        ))),
    }
}

async fn copy_all(from: &mut SqliteConnection, to: &Postgres) -> Result<Vec<Copied>, Fault> {
    let mut to = to.pool().acquire().await?;
    let mut transaction = to.begin().await?;
    sqlx::raw_sql(target::ALONE).execute(&mut *transaction).await?;
    for table in TABLES {
        must_be_empty(&mut transaction, table).await?;
    }
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        copied.push(copy_table(from, &mut transaction, table).await?);
    }
    transaction.commit().await?;
    Ok(copied)
}

async fn must_be_empty(to: &mut PgConnection, table: &str) -> Result<(), Fault> {
    match count(to, table).await? {
        0 => Ok(()),
        rows => Err(Fault::Request(format!(
            "is not empty ({rows} rows in {table}): two memories would be mixed; name an empty database"
        ))),
    }
}

async fn count(to: &mut PgConnection, table: &str) -> Result<i64, Fault> {
    let statement = AssertSqlSafe(target::count(table));
    Ok(sqlx::query(statement).fetch_one(to).await?.try_get("rows")?)
}

async fn copy_table(from: &mut SqliteConnection, to: &mut PgConnection, table: &'static str) -> Result<Copied, Fault> {
    let columns = columns(from, to, table).await?;
    let mut sink = to.copy_in_raw(&target::copy_in(table, &columns)).await?;
    let (mut rows, mut replaced, mut chunk) = (0, 0, Vec::with_capacity(CHUNK * 2));
    let statement = AssertSqlSafe(source::texts(table, &columns));
    let mut found = sqlx::query(statement).fetch(&mut *from);
    while let Some(row) = found.try_next().await? {
        replaced += write_line(&mut chunk, &row, &columns)?;
        rows += 1;
        if chunk.len() >= CHUNK {
            sink.send(&*chunk).await?;
            chunk.clear();
        }
    }
    drop(found);
    sink.send(&*chunk).await?;
    sink.finish().await?;
    agree(from, to, table, rows).await?;
    go_on_from(from, to, table).await?;
    Ok(Copied { table, rows, replaced })
}

/// A column, as PostgreSQL has it.
pub(super) struct Column {
    pub(super) name: String,
    kind: Kind,
}

/// How a cell is written for PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Hexadecimal digits.
    Bytes,
    /// 0 or 1.
    Boolean,
}

/// The columns of a table here, each of which must be there.
async fn columns(from: &mut SqliteConnection, to: &mut PgConnection, table: &str) -> Result<Vec<Column>, Fault> {
    let rows = sqlx::query(target::COLUMNS)
        .bind(table.to_owned())
        .fetch_all(to)
        .await?;
    let mut there: HashMap<String, String> = HashMap::new();
    for row in &rows {
        there.insert(row.try_get("name")?, row.try_get("kind")?);
    }
    let rows = sqlx::query(source::COLUMNS)
        .bind(table.to_owned())
        .fetch_all(from)
        .await?;
    let column = |row: &SqliteRow| {
        let name: String = row.try_get("name")?;
        let kind = match there.get(&name).map(String::as_str) {
            Some("bytea") => Kind::Bytes,
            Some("boolean") => Kind::Boolean,
            Some(_) => Kind::Plain,
            None => {
                return Err(Fault::Request(format!(
                    "has no column {table}.{name}: run `lazaret ledger migrate`"
                )));
            }
        };
        Ok(Column { name, kind })
    };
    rows.iter().map(column).collect()
}

/// Writes a row in the text format of COPY; returns how many characters were replaced.
fn write_line(to: &mut Vec<u8>, row: &SqliteRow, columns: &[Column]) -> Result<u64, Fault> {
    let mut replaced = 0;
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            to.push(b'\t');
        }
        match row.try_get::<Option<&str>, _>(index)? {
            Some(text) => replaced += write_cell(to, text, column.kind),
            None => to.extend_from_slice(b"\\N"),
        }
    }
    to.push(b'\n');
    Ok(replaced)
}

fn write_cell(to: &mut Vec<u8>, text: &str, kind: Kind) -> u64 {
    match kind {
        Kind::Bytes => to.extend_from_slice(b"\\\\x"),
        Kind::Boolean => {
            to.push(if text == "0" { b'f' } else { b't' });
            return 0;
        }
        Kind::Plain => {}
    }
    let mut replaced = 0;
    for byte in text.bytes() {
        match byte {
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\t' => to.extend_from_slice(b"\\t"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            0 => {
                to.extend_from_slice("\u{fffd}".as_bytes());
                replaced += 1;
            }
            other => to.push(other),
        }
    }
    replaced
}

/// As many rows here, sent, and there.
async fn agree(from: &mut SqliteConnection, to: &mut PgConnection, table: &str, sent: u64) -> Result<(), Fault> {
    let statement = AssertSqlSafe(source::count(table));
    let here: i64 = sqlx::query(statement).fetch_one(from).await?.try_get("rows")?;
    let there = count(to, table).await?;
    match here == there && here.unsigned_abs() == sent {
        true => Ok(()),
        false => Err(Fault::Request(format!(
            "has {there} rows in {table} where the file has {here}: nothing was kept"
        ))),
    }
}

/// Ids that were given here are not given there again, also where their rows are gone.
async fn go_on_from(from: &mut SqliteConnection, to: &mut PgConnection, table: &str) -> Result<(), Fault> {
    let row = sqlx::query(source::LAST_ID)
        .bind(table.to_owned())
        .fetch_optional(from)
        .await?;
    let Some(last) = row.map(|row| row.try_get::<i64, _>("last")).transpose()? else {
        return Ok(());
    };
    let statement = AssertSqlSafe(target::go_on_from(table));
    sqlx::query(statement).bind(last).execute(to).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, kind: Kind) -> (String, u64) {
        let mut line = Vec::new();
        let replaced = write_cell(&mut line, text, kind);
        (String::from_utf8(line).unwrap(), replaced)
    }

    #[test]
    fn cells_are_escaped() {
        assert_eq!(written("a\tb\\N\n\r", Kind::Plain), ("a\\tb\\\\N\\n\\r".to_owned(), 0));
        assert_eq!(written("a\0b", Kind::Plain), ("a\u{fffd}b".to_owned(), 1));
        assert_eq!(written("00ff", Kind::Bytes), ("\\\\x00ff".to_owned(), 0));
        assert_eq!(
            [written("1", Kind::Boolean).0, written("0", Kind::Boolean).0],
            ["t", "f"]
        );
    }
}
