use cqrs_postgres::testing::{TestDatabase, TestSchema, TestServer};

use crate::{number, run};

#[tokio::test]
async fn schemas_do_not_meet() {
    let server = TestServer::shared().await.unwrap();
    let (one, other) = (TestSchema::new(server), TestSchema::new(server));
    assert_ne!(one.name(), other.name());
    for schema in [&one, &other] {
        let mut connection = schema.connect().await.unwrap();
        let create = format!("CREATE SCHEMA {}; CREATE TABLE here ()", schema.name());
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        assert_eq!(number(&mut connection, "SELECT count(*) FROM here").await, 0);
    }
    let name = one.name().to_owned();
    one.drop_all().await.unwrap();
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
    let left = sqlx::query_scalar::<_, i64>(left).bind(name);
    assert_eq!(left.fetch_one(&mut other.connect().await.unwrap()).await.unwrap(), 0);
    other.drop_all().await.unwrap();
}

#[tokio::test]
async fn a_database_is_dropped_with_its_connections() {
    let server = TestServer::shared().await.unwrap();
    let database = TestDatabase::new(server).await.unwrap();
    let (name, mut open) = (database.name().to_owned(), database.connect().await.unwrap());
    run(&mut open, "CREATE TABLE here ()").await;
    database.drop_all().await.unwrap();
    let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM pg_database WHERE datname = $1").bind(name);
    assert_eq!(left.fetch_one(&mut server.connect().await.unwrap()).await.unwrap(), 0);
}
