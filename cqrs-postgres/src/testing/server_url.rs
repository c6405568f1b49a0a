use url::Url;

use crate::testing::HarnessError;

/// The URL of a database on a server: `postgres://user:password@host:port/database?...`.
#[derive(Clone, Debug)]
pub(crate) struct ServerUrl {
    url: Url,
}

impl ServerUrl {
    pub(crate) fn parse(url: &str) -> Result<Self, HarnessError> {
        let url = Url::parse(url).map_err(|error| HarnessError::InvalidUrl { reason: error.to_string() })?;
        match url.scheme() {
            "postgres" | "postgresql" if url.has_authority() => Ok(Self { url }),
            "postgres" | "postgresql" => {
                Err(HarnessError::InvalidUrl { reason: "`//` is missing".to_owned() })
            }
            scheme => Err(HarnessError::InvalidUrl { reason: format!("its scheme is {scheme:?}") }),
        }
    }

    /// The URL of a server of our own.
    pub(crate) fn local(port: u16) -> Self {
        let url = Url::parse(&format!("postgres://postgres@127.0.0.1:{port}/postgres"));
        Self { url: url.expect("nothing varies but the port") }
    }

    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) fn host(&self) -> &str {
        let host = self.url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port().unwrap_or(5432)
    }

    pub(crate) fn user(&self) -> &str {
        self.url.username()
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.url.password()
    }

    /// The same for another database of the server.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(name);
        Self { url }
    }

    /// The same by way of a port of this machine, where nobody speaks TLS.
    pub(crate) fn by_way_of(&self, port: u16) -> Self {
        let mut url = self.url.clone();
        let has_base = "a URL with an authority takes a host and a port";
        url.set_host(Some("127.0.0.1")).expect(has_base);
        url.set_port(Some(port)).expect(has_base);
        let others = self
            .url
            .query_pairs()
            .filter(|(name, _)| !matches!(&**name, "sslmode" | "ssl-mode" | "host" | "port"));
        url.query_pairs_mut().clear().extend_pairs(others).append_pair("sslmode", "disable");
        Self { url }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerUrl;

    #[test]
    fn a_way_replaces_the_address_and_tls() {
        let url = ServerUrl::parse("postgres://u:p@db.example:5433/app?sslmode=require&application_name=a")
            .unwrap();
        let expected = "postgres://u:p@127.0.0.1:7000/app?application_name=a&sslmode=disable";
        assert_eq!(url.by_way_of(7000).as_str(), expected);
    }

    #[test]
    fn a_database_replaces_the_path() {
        let url = ServerUrl::local(7000).with_database("test_1");
        assert_eq!(url.as_str(), "postgres://postgres@127.0.0.1:7000/test_1");
    }

    #[test]
    fn what_names_no_server_is_refused() {
        for url in ["", "postgres", "mysql://localhost/a", "postgres:a"] {
            assert!(ServerUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_address_may_be_of_version_6() {
        let url = ServerUrl::parse("postgres://u@[::1]/a").unwrap();
        assert_eq!((url.host(), url.port()), ("::1", 5432));
    }
}
