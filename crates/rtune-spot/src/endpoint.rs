use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The address of a metadata service.
///
/// ```
/// use rtune_spot::Endpoint;
///
/// assert_eq!(Endpoint::default().to_string(), "http://169.254.169.254");
/// let endpoint: Endpoint = "http://127.0.0.1:8080/".parse()?;
/// assert_eq!(endpoint.to_string(), "http://127.0.0.1:8080");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint(SocketAddr);

const PORT: u16 = 80;

impl Endpoint {
    /// The address to connect to.
    pub(crate) fn address(self) -> SocketAddr {
        self.0
    }
}

/// The address in every EC2 instance.
impl Default for Endpoint {
    fn default() -> Self {
        Self((Ipv4Addr::new(169, 254, 169, 254), PORT).into())
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.strip_prefix("http://");
        let address = address.map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        let found = address.and_then(|address| {
            let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
            let ip = bare.unwrap_or(address).parse::<IpAddr>();
            let ip = ip.ok().filter(|ip| ip.is_ipv4() || bare.is_some());
            let with_port = || address.parse::<SocketAddr>().ok();
            ip.map(|ip| (ip, PORT).into()).or_else(with_port)
        });
        found.map(Self).ok_or_else(|| {
            format!(
                "`{text}` is no address of a metadata service; give `http://` and an IP address, \
                 with a port or without"
            )
        })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.ip(), self.0.port()) {
            (IpAddr::V4(ip), PORT) => write!(f, "http://{ip}"),
            (IpAddr::V6(ip), PORT) => write!(f, "http://[{ip}]"),
            _ => write!(f, "http://{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers() {
        for (text, expected) in [
            ("http://169.254.169.254", Some("http://169.254.169.254")),
            ("http://169.254.169.254/", Some("http://169.254.169.254")),
            ("http://127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("http://[fd00:ec2::254]", Some("http://[fd00:ec2::254]")),
            ("http://[::1]:81/", Some("http://[::1]:81")),
            ("http://::1", None),
            ("https://169.254.169.254", None),
            ("169.254.169.254", None),
            ("http://metadata.internal", None),
            ("http://169.254.169.254/latest", None),
            ("http://127.0.0.1:99999", None),
            ("", None),
        ] {
            let found = text.parse::<Endpoint>().ok();
            let found = found.map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
