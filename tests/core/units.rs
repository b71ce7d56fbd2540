//! One module of the core at a time, through its public interface: what the vectors would say only in many words.

mod access_token;
mod algorithm;
mod authorization;
mod base64url;
mod challenge;
mod confirmation;
mod elsewhere;
mod error;
mod exporter;
mod host_map;
mod json;
mod numeric_date;
mod pattern;
mod policy;
mod replay;
mod request;
mod state;
mod target_uri;
