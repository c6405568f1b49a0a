use std::borrow::Cow;
use std::collections::HashMap;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, Row as _, SqlSafeStr as _};

use crate::{ConnectError, Payload, PostgresPool, Schema};

/// The migrations, in their order. One that was published is never changed: what was applied is compared with it.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "tables", include_str!("../migrations/0001_tables.sql")),
    (2, "append", include_str!("../migrations/0002_append.sql")),
    (3, "streams", include_str!("../migrations/0003_streams.sql")),
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
    // Creating a table that exists is a notice for each start otherwise; the path is what the migrations are made in.
    run(
        connection,
        format!(
            "set local client_min_messages = warning; set local search_path = {}, pg_temp",
            schema.quoted()
        ),
    )
    .await?;
    let is_pooled = pool.config().is_pooled();
    if is_pooled {
        run(connection, FORGET_PREPARED.to_owned()).await?;
    }
    let migrated = migrator(schema).run_direct(None, &mut *connection, false).await;
    migrated.map_err(|error| migration_error(schema, error))?;
    if is_pooled {
        run(connection, FORGET_PREPARED.to_owned()).await?;
    }
    Ok(transaction.commit().await?)
}

/// Checks that a schema is there and up to date.
pub(crate) async fn verify(pool: &PostgresPool, schema: &Schema) -> Result<(), ConnectError> {
    schema.check()?;
    let mut session = pool.session().await?;
    verify_on(session.open().await?, schema).await?;
    Ok(session.finish().await?)
}

async fn verify_on(connection: &mut PgConnection, schema: &Schema) -> Result<(), ConnectError> {
    let sql = format!("select version, checksum from {}.migrations order by version", schema.quoted());
    let applied = match sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await {
        Ok(rows) => rows,
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("42P01" | "3F000")) => {
            return Err(ConnectError::SchemaMissing { schema: schema.name.clone() });
        }
        Err(error) => return Err(error.into()),
    };
    let migrator = migrator(schema);
    let mut needed: HashMap<i64, &Migration> = migrator.iter().map(|one| (one.version, one)).collect();
    let known = migrator.iter().map(|one| one.version).max().unwrap_or_default();
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

/// Drops a schema, if it is there.
pub(crate) async fn drop_schema(pool: &PostgresPool, schema: &Schema) -> Result<(), ConnectError> {
    schema.check()?;
    let mut session = pool.session().await?;
    let mut transaction = session.transaction().await?;
    let connection = &mut *transaction;
    lock(connection, schema).await?;
    run(
        connection,
        format!("set local client_min_messages = warning; drop schema if exists {} cascade", schema.quoted()),
    )
    .await?;
    Ok(transaction.commit().await?)
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

fn migrator(schema: &Schema) -> Migrator {
    let payload = match schema.payload {
        Payload::Jsonb => "jsonb",
        Payload::Bytea => "bytea",
    };
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        let sql = AssertSqlSafe(sql.replace("payload_type", payload)).into_sql_str();
        Migration::new(version, Cow::Borrowed(name), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.set_locking(false);
    migrator.dangerous_set_table_name(format!("{}.migrations", schema.quoted()));
    migrator
}

fn migration_error(schema: &Schema, error: MigrateError) -> ConnectError {
    let schema = schema.name.clone();
    match error {
        MigrateError::VersionMissing(found) => ConnectError::SchemaNewer {
            schema,
            found,
            known: MIGRATIONS.iter().map(|one| one.0).max().unwrap_or_default(),
        },
        MigrateError::VersionMismatch(version) => ConnectError::SchemaDiffers { schema, version },
        source => ConnectError::Migration { schema, source },
    }
}
