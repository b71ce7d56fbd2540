#![cfg_attr(fuzzing, no_main)]
tls_session_binding_fuzz::target!(access_token);
