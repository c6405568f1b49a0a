//! Where the contexts keep their events. This is all that differs between the deployments.

use std::convert::Infallible;
use std::error::Error;
use std::str::FromStr;

use cqrs::postgres::PostgresConfig;
use cqrs::postgres::testing::{TestDatabase, TestServer};

/// A schema of a database.
#[derive(Clone, Debug)]
pub struct Place {
    url: String,
    schema: Option<String>,
}

impl FromStr for Place {
    type Err = Infallible;

    /// `URL#SCHEMA` or `URL`; a `#` in a URL is written `%23`.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (url, schema) = match text.split_once('#') {
            Some((url, schema)) => (url, Some(schema.to_owned())),
            None => (text, None),
        };
        Ok(Self { url: url.to_owned(), schema })
    }
}

impl Place {
    fn new(url: &str) -> Self {
        Self { url: url.to_owned(), schema: None }
    }

    pub fn config(&self, default_schema: &str) -> PostgresConfig {
        let schema = self.schema.as_deref().unwrap_or(default_schema);
        PostgresConfig::new(&self.url).schema(schema).connections(4)
    }
}

/// Both places, and what has to live as long as they do.
pub struct Places {
    pub sales: Place,
    pub shipping: Place,
    pub description: &'static str,
    _databases: Vec<TestDatabase>,
    _server: Option<TestServer>,
}

impl Places {
    pub fn given(sales: Place, shipping: Place) -> Self {
        Self {
            sales,
            shipping,
            description: "the places that you named",
            _databases: Vec::new(),
            _server: None,
        }
    }

    /// One database of a throwaway server, a schema each.
    pub async fn schemas() -> Result<Self, Box<dyn Error>> {
        let server = TestServer::start().await?;
        let place = Place::new(server.url());
        Ok(Self {
            sales: place.clone(),
            shipping: place,
            description: "one database, a schema each",
            _databases: Vec::new(),
            _server: Some(server),
        })
    }

    /// A database each, on a throwaway server.
    pub async fn databases() -> Result<Self, Box<dyn Error>> {
        let server = TestServer::start().await?;
        let (sales, shipping) = (TestDatabase::new(&server).await?, TestDatabase::new(&server).await?);
        Ok(Self {
            sales: Place::new(sales.url()),
            shipping: Place::new(shipping.url()),
            description: "a database each",
            _databases: vec![sales, shipping],
            _server: Some(server),
        })
    }
}
