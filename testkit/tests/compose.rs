//! `compose.yaml` says what the documentation promises. It is read, not run: whether the images start is for a machine with a container engine.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use yaml_rust2::{Yaml, YamlLoader};

const OWN: [&str; 4] = ["sandbox", "migrate", "api", "worker"];

fn compose() -> Yaml {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose.yaml");
    YamlLoader::load_from_str(&std::fs::read_to_string(path).unwrap()).unwrap().remove(0)
}

fn services(file: &Yaml) -> Vec<(String, Yaml)> {
    let services = file["services"].as_hash().unwrap();
    services.iter().map(|(name, service)| (name.as_str().unwrap().to_owned(), service.clone())).collect()
}

/// A service's own setting, or the one that it merges in with `<<`.
fn setting(service: &Yaml, name: &str) -> Yaml {
    let own = &service[name];
    if own.is_badvalue() { service["<<"][name].clone() } else { own.clone() }
}

fn words(list: &Yaml) -> Vec<String> {
    list.as_vec().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn it_has_the_servers_the_program_and_nothing_else() {
    let mut names: Vec<String> = services(&compose()).into_iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(names, ["api", "migrate", "postgres", "rabbitmq", "redis", "sandbox", "worker"]);
}

#[test]
fn what_browsers_open_is_published_and_only_on_this_machine() {
    for (name, service) in services(&compose()) {
        let ports = setting(&service, "ports");
        match name.as_str() {
            "api" | "sandbox" => assert!(words(&ports).iter().all(|port| port.starts_with("127.0.0.1:"))),
            _ => assert!(ports.is_badvalue(), "{name} publishes a port"),
        }
    }
}

#[test]
fn every_part_of_ours_knows_all_four_addresses_and_runs_the_binary() {
    let file = compose();
    for name in OWN {
        let service = &file["services"][name];
        let environment = setting(service, "environment");
        for variable in ["DATABASE_URL", "AMQP_URL", "REDIS_URL", "SANDBOX_PROVIDER_URL"] {
            assert!(environment[variable].as_str().is_some_and(|url| url.contains("://")), "{name} lacks {variable}");
        }
        assert_eq!(words(&setting(service, "command"))[0], name, "the command is the service's name");
        assert!(setting(service, "image").as_str().is_some());
    }
}

#[test]
fn the_addresses_name_services_of_this_file() {
    let file = compose();
    let environment = setting(&file["services"]["worker"], "environment");
    let addresses = [
        ("DATABASE_URL", "@postgres:5432"),
        ("AMQP_URL", "@rabbitmq:5672"),
        ("REDIS_URL", "//redis:6379"),
        ("SANDBOX_PROVIDER_URL", "//sandbox:8090"),
    ];
    for (variable, host) in addresses {
        assert!(environment[variable].as_str().unwrap().contains(host), "{variable}");
    }
    let sandbox = words(&setting(&file["services"]["sandbox"], "command"));
    assert!(sandbox.contains(&"--listen=0.0.0.0:8090".to_owned()), "the sandbox listens elsewhere than where it is looked for");
}

#[test]
fn the_sandbox_tells_the_api_and_both_know_what_it_signs_with() {
    let file = compose();
    let sandbox = words(&setting(&file["services"]["sandbox"], "command"));
    assert!(sandbox.contains(&"--webhook-url=http://api:8080/webhooks/sandbox/test".to_owned()), "{sandbox:?}");
    assert!(words(&setting(&file["services"]["api"], "command")).contains(&"0.0.0.0:8080".to_owned()), "the api listens elsewhere");
    let secret = |name: &str| setting(&file["services"][name], "environment")["SANDBOX_WEBHOOK_SECRET"].clone();
    for name in OWN {
        assert!(secret(name).as_str().is_some_and(|secret| secret.starts_with("${SANDBOX_WEBHOOK_SECRET:-whsec_")), "{name}");
        assert_eq!(secret(name), secret("sandbox"), "{name}");
    }
}

#[test]
fn nothing_starts_before_what_it_needs() {
    let file = compose();
    let needs = |name: &str, other: &str| file["services"][name]["depends_on"][other]["condition"].as_str().map(str::to_owned);
    assert_eq!(needs("migrate", "postgres").as_deref(), Some("service_healthy"));
    for name in ["api", "worker"] {
        assert_eq!(needs(name, "migrate").as_deref(), Some("service_completed_successfully"), "{name}");
        for server in ["rabbitmq", "redis"] {
            assert_eq!(needs(name, server).as_deref(), Some("service_healthy"), "{name} on {server}");
        }
    }
    assert_eq!(needs("worker", "sandbox").as_deref(), Some("service_healthy"));
    for (name, service) in services(&file) {
        let check = setting(&service, "healthcheck");
        assert!(name == "migrate" || check["test"].as_vec().is_some_and(|words| words.len() > 1), "{name} has no health check");
    }
}

#[test]
fn workers_can_be_scaled() {
    let worker = &compose()["services"]["worker"];
    for fixed in ["container_name", "hostname", "ports", "volumes"] {
        assert!(setting(worker, fixed).is_badvalue(), "{fixed} ties the worker to one instance");
    }
}

#[test]
fn what_must_not_be_lost_has_a_volume_and_durability_stays_on() {
    let file = compose();
    for name in ["postgres", "rabbitmq", "sandbox"] {
        let mounts = words(&file["services"][name]["volumes"]);
        assert!(mounts.iter().any(|mount| mount.starts_with(&format!("{name}:"))), "{name}");
        assert!(file["volumes"].as_hash().unwrap().contains_key(&Yaml::String(name.to_owned())), "{name}");
    }
    let command = words(&file["services"]["postgres"]["command"]);
    assert!(command.contains(&"fsync=on".to_owned()) && command.contains(&"synchronous_commit=on".to_owned()));
}
