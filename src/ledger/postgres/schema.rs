//! The schema: looked at, made, brought up. Steps go forward only, and each adds what older programs do not mind, so that workers of two versions
//! run side by side; a step that they would mind says so (`oldest`).

use std::collections::HashMap;

use serde::Serialize;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::{Missing, statements};
use crate::ledger::engine::Fault;
use crate::ledger::inventory::{Count, TABLES, Table};

/// What leads from each schema to the next; the first makes it out of nothing. Steps that shipped never change.
const STEPS: &[Step] = &[
    Step {
        sql: include_str!("schema.sql"),
        oldest: 1,
    },
    Step {
        sql: include_str!("schema_2.sql"),
        oldest: 1,
    },
    Step {
        sql: include_str!("schema_3.sql"),
        oldest: 1,
    },
    Step {
        sql: include_str!("schema_4.sql"),
        oldest: 1,
    },
    Step {
        sql: include_str!("schema_5.sql"),
        oldest: 1,
    },
];
/// The schema that this program makes.
pub const KNOWN: i64 = STEPS.len() as i64;

/// Tables up to this size are counted when somebody asks what is there.
const COUNTED_BYTES: i64 = 64 << 20;

/// One step.
#[derive(Debug, Clone, Copy)]
struct Step {
    sql: &'static str,
    /// The first schema whose programs work with what this step leaves.
    oldest: i64,
}

/// What a database has of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Schema {
    /// Its schema; 0: there is none.
    pub version: i64,
    /// The first schema whose programs work with it.
    pub oldest: i64,
}

/// Looks at the schema.
pub(super) async fn look(connection: &mut PgConnection) -> Result<Schema, Fault> {
    let row = sqlx::query(statements::HAS_LEDGER).fetch_one(&mut *connection).await?;
    if !row.try_get::<bool, _>("found")? {
        return Ok(Schema { version: 0, oldest: 0 });
    }
    let row = sqlx::query(statements::SCHEMA).fetch_one(connection).await?;
    Ok(Schema {
        version: row.try_get("version")?,
        oldest: row.try_get("oldest")?,
    })
}

/// Sees to it that there is a schema that this program works with.
pub(super) async fn prepare(connection: &mut PgConnection, missing: Missing) -> Result<(), Fault> {
    let schema = look(connection).await?;
    match (verdict(schema), missing) {
        (Verdict::Works, _) => Ok(()),
        (Verdict::Newer, _) => Err(newer(schema)),
        (Verdict::Older, Missing::Raise) => raise(connection, STEPS).await,
        (Verdict::Older, Missing::Refuse) => Err(older(schema)),
    }
}

/// Schema, and every table. Those of more than a few megabytes are not counted: whoever asks does not mean to read all of it.
pub(super) async fn inventory(connection: &mut PgConnection) -> Result<(i64, Vec<Table>), Fault> {
    let schema = look(connection).await?;
    let rows = sqlx::query(statements::SIZES).fetch_all(&mut *connection).await?;
    let mut sizes: HashMap<String, (i64, i64)> = HashMap::new();
    for row in &rows {
        sizes.insert(row.try_get("name")?, (row.try_get("bytes")?, row.try_get("rows")?));
    }
    let mut tables = Vec::with_capacity(TABLES.len());
    for name in TABLES {
        let (bytes, believed) = sizes.get(name).copied().unwrap_or_default();
        let (rows, count) = match bytes > COUNTED_BYTES && believed >= 0 {
            true => (believed, Count::Estimate),
            false => (counted(connection, name).await?, Count::Exact),
        };
        tables.push(Table {
            name,
            rows: rows.unsigned_abs(),
            count,
            bytes: Some(bytes.unsigned_abs()),
        });
    }
    Ok((schema.version, tables))
}

async fn counted(connection: &mut PgConnection, table: &str) -> Result<i64, Fault> {
    let statement = AssertSqlSafe(statements::count(table));
    Ok(sqlx::query(statement).fetch_one(connection).await?.try_get("rows")?)
}

/// What this program thinks of a schema.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Works,
    Older,
    Newer,
}

fn verdict(schema: Schema) -> Verdict {
    match schema.version {
        version if version < KNOWN => Verdict::Older,
        _ if schema.oldest > KNOWN => Verdict::Newer,
        _ => Verdict::Works,
    }
}

fn newer(schema: Schema) -> Fault {
    let Schema { version, oldest } = schema;
    Fault::Request(format!(
        "is from a newer Lazaret (schema {version}, for programs that know {oldest} or later; this one knows up to {KNOWN}): \
         upgrade the program or name another ledger"
    ))
}

fn older(schema: Schema) -> Fault {
    let has = match schema.version {
        0 => "has no ledger yet".to_owned(),
        version => format!("has schema {version}, this program needs {KNOWN}"),
    };
    Fault::Request(format!(
        "{has}: run `lazaret ledger migrate`, or start a worker, which does the same"
    ))
}

/// Brings the schema up to the last of `steps`, in one transaction, once, however many programs try.
async fn raise(connection: &mut PgConnection, steps: &[Step]) -> Result<(), Fault> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(statements::WAIT_BRIEFLY)
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(statements::LOCK_SCHEMA)
        .execute(&mut *transaction)
        .await?;
    let found = look(&mut transaction).await?;
    if found.version == 0 {
        make_place(&mut transaction).await?;
    }
    let taken = usize::try_from(found.version).unwrap_or_default();
    let mut oldest = found.oldest;
    for step in steps.get(taken..).unwrap_or_default() {
        sqlx::raw_sql(AssertSqlSafe(step.sql))
            .execute(&mut *transaction)
            .await?;
        oldest = oldest.max(step.oldest);
    }
    let save = sqlx::query(statements::SAVE_SCHEMA)
        .bind((steps.len() as i64).max(found.version))
        .bind(oldest);
    save.execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Makes the PostgreSQL schema that the tables lie in, where nobody has made it for this user.
async fn make_place(connection: &mut PgConnection) -> Result<(), Fault> {
    let row = sqlx::query(statements::HAS_PLACE).fetch_one(&mut *connection).await?;
    if !row.try_get::<bool, _>("found")? {
        sqlx::raw_sql(statements::MAKE_PLACE).execute(&mut *connection).await?;
    }
    sqlx::raw_sql(statements::MAKE_LEDGER).execute(connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(version: i64, oldest: i64) -> Schema {
        Schema { version, oldest }
    }

    #[test]
    fn an_older_program_works_with_what_was_only_added_to() {
        assert_eq!(verdict(schema(KNOWN, 1)), Verdict::Works);
        assert_eq!(verdict(schema(KNOWN + 3, KNOWN)), Verdict::Works);
        assert_eq!(verdict(schema(KNOWN + 3, KNOWN + 1)), Verdict::Newer);
        assert_eq!(verdict(schema(0, 0)), Verdict::Older);
    }

    #[test]
    fn errors_say_what_to_run() {
        let said = |fault: Fault| format!("{fault:?}");
        assert!(said(older(schema(0, 0))).contains("has no ledger yet: run `lazaret ledger migrate`"));
        assert!(said(newer(schema(9, 8))).contains("schema 9, for programs that know 8 or later"));
    }
}
