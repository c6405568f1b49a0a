use std::borrow::Cow;
use std::collections::HashMap;

use sqlx::migrate::{Migrate as _, Migration, MigrationType};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqlSafeStr as _};
use tokio::time::sleep;

use crate::error::Fault;
use crate::retry::{ATTEMPTS, pause};
use crate::{ConnectError, Payload, PostgresPool, Schema};

/// The migrations, in their order. One that was published is never changed: what was applied is compared with it.
const MIGRATIONS: [(i64, &str, &str); 7] = [
    (1, "tables", include_str!("../migrations/0001_tables.sql")),
    (2, "append", include_str!("../migrations/0002_append.sql")),
    (3, "streams", include_str!("../migrations/0003_streams.sql")),
    (4, "records", include_str!("../migrations/0004_records.sql")),
    (5, "commits", include_str!("../migrations/0005_commits.sql")),
    (6, "lineage_and_audit", include_str!("../migrations/0006_lineage_and_audit.sql")),
    (7, "records_as_json", include_str!("../migrations/0007_records_as_json.sql")),
];

/// The first half of the lock under which a schema is created, migrated and dropped; its name's hash is the second.
const LOCK: i32 = 0x6371_7273;

/// The driver's migrator prepares statements under names. Behind a pooler these would stay with a connection of the
/// server, and be in the way of whoever comes to it next.
const FORGET_PREPARED: &str = "deallocate all";

/// Creates a schema's tables or brings them up to date.
pub(crate) async fn migrate(pool: &PostgresPool, schema: &Schema) -> Result<(), ConnectError> {
    schema.check()?;
    let mut session = pool.session().await?;
    // Most starts find everything in place, and take no lock.
    if let Ok(()) = verify_on(session.open().await?, schema).await {
        return Ok(session.finish().await?);
    }
    session.undo().await?;
    let mut transaction = session.transaction().await?;
    let connection = &mut *transaction;
    lock(connection, schema).await?;
    let exists = sqlx::query("select from pg_namespace where nspname = $1").persistent(false);
    if exists.bind(schema.name()).fetch_optional(&mut *connection).await?.is_none() {
        run(connection, format!("create schema {}", schema.quoted())).await?;
    }
    // Creating a table that exists is a notice otherwise.
    run(connection, "set local client_min_messages = warning".to_owned()).await?;
    let is_pooled = pool.config().is_pooled();
    if is_pooled {
        run(connection, FORGET_PREPARED.to_owned()).await?;
    }
    apply(connection, schema).await?;
    if is_pooled {
        run(connection, FORGET_PREPARED.to_owned()).await?;
    }
    Ok(transaction.commit().await?)
}

/// Makes the migrations that are missing, while nobody else does. The driver's own loop over them gives a future that
/// the compiler does not see to be `Send`, so that no store could be opened in a task.
async fn apply(connection: &mut PgConnection, schema: &Schema) -> Result<(), ConnectError> {
    let failed = |source| ConnectError::Migration { schema: schema.name.clone(), source };
    let table = table(schema);
    connection.ensure_migrations_table(&table).await.map_err(failed)?;
    let last = match verify_on(connection, schema).await {
        Err(ConnectError::SchemaOutdated { found, .. }) => found,
        verified => return verified,
    };
    for migration in migrations(schema).iter().filter(|one| one.version > last) {
        connection.apply(&table, migration).await.map_err(failed)?;
    }
    Ok(())
}

/// Checks that a schema is there and up to date.
pub(crate) async fn verify(pool: &PostgresPool, schema: &Schema) -> Result<(), ConnectError> {
    schema.check()?;
    let mut session = pool.session().await?;
    verify_on(session.open().await?, schema).await?;
    Ok(session.finish().await?)
}

async fn verify_on(connection: &mut PgConnection, schema: &Schema) -> Result<(), ConnectError> {
    let sql = format!("select version, checksum from {} order by version", table(schema));
    let applied = match sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await {
        Ok(rows) => rows,
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "3F000")) => {
            return Err(ConnectError::SchemaMissing { schema: schema.name.clone() });
        }
        Err(error) => return Err(error.into()),
    };
    let migrations = migrations(schema);
    let mut needed: HashMap<i64, &Migration> = migrations.iter().map(|one| (one.version, one)).collect();
    let known = migrations.iter().map(|one| one.version).max().unwrap_or_default();
    let mut found = 0;
    for row in applied {
        let version: i64 = row.try_get(0)?;
        let checksum: Vec<u8> = row.try_get(1)?;
        let Some(migration) = needed.remove(&version) else {
            return Err(ConnectError::SchemaNewer { schema: schema.name.clone(), found: version, known });
        };
        if *migration.checksum != *checksum {
            return Err(ConnectError::SchemaDiffers { schema: schema.name.clone(), version });
        }
        found = version;
    }
    if needed.is_empty() {
        return Ok(());
    }
    Err(ConnectError::SchemaOutdated { schema: schema.name.clone(), found, needed: known })
}

/// Drops a schema, if it is there. Whoever is at work with it may have locks in another order, so that one of the two
/// gives way; then it is tried again.
pub(crate) async fn drop_schema(pool: &PostgresPool, schema: &Schema) -> Result<(), ConnectError> {
    schema.check()?;
    let mut attempts = 0;
    loop {
        match try_drop_schema(pool, schema).await {
            Err(error) if matches!(Fault::of(&error), Fault::Transient) && attempts < ATTEMPTS => {
                attempts += 1;
                sleep(pause(attempts)).await;
            }
            dropped => return Ok(dropped?),
        }
    }
}

async fn try_drop_schema(pool: &PostgresPool, schema: &Schema) -> Result<(), sqlx::Error> {
    let mut session = pool.session().await?;
    let mut transaction = session.transaction().await?;
    let connection = &mut *transaction;
    lock(connection, schema).await?;
    run(
        connection,
        format!("set local client_min_messages = warning; drop schema if exists {} cascade", schema.quoted()),
    )
    .await?;
    transaction.commit().await
}

/// Waits for others who create, migrate or drop this schema; ends with the transaction, so that it works behind a
/// pooler, where the lock of a session would stay with a connection that is somebody else's by then.
async fn lock(connection: &mut PgConnection, schema: &Schema) -> Result<(), sqlx::Error> {
    let lock = sqlx::query("select pg_advisory_xact_lock($1, hashtext($2))").persistent(false);
    // Others may take a while to create their tables; the lock timeout is that of appends.
    run(connection, "set local lock_timeout = 0".to_owned()).await?;
    lock.bind(LOCK).bind(schema.name()).execute(connection).await.map(drop)
}

async fn run(connection: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Where the migrations that were made are noted.
fn table(schema: &Schema) -> String {
    format!("{}.migrations", schema.quoted())
}

fn migrations(schema: &Schema) -> [Migration; MIGRATIONS.len()] {
    let payload = match schema.payload {
        Payload::Jsonb => "jsonb",
        Payload::Bytea => "bytea",
    };
    let quoted = schema.quoted();
    let literal = quoted.replace('\'', "''");
    MIGRATIONS.map(|(version, name, sql)| {
        let sql =
            sql.replace("payload_type", payload).replace("$schema", &quoted).replace("$literal", &literal);
        let sql = AssertSqlSafe(sql).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    })
}
