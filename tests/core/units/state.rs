use tls_session_binding::state::generation;

#[test]
fn another_build_and_another_configuration_are_other_generations() {
    let known = generation("1", b"{}");
    assert_eq!(known, generation("1", b"{}"));
    assert_ne!(known, generation("2", b"{}"));
    assert_ne!(known, generation("1", b"{ }"));
    assert_ne!(known, generation("1{", b"}"));
}
