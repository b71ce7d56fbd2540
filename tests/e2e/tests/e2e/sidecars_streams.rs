//! What takes long, through both sidecars: event streams, gRPC, WebSockets (E3, E4).
