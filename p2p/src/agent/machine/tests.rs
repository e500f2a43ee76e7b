//! Surveys of machines that are made up, and of this one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use super::{gpu, host::Host, *};
use std::{collections::BTreeMap, fs};

fn rack() -> Host {
    Host {
        processors: 64,
        cores: Some(32),
        usable: Some(64),
        brand: Some("EPYC 7R32".into()),
        memory: 256 << 30,
        memory_limit: None,
        disks: BTreeMap::from([
            ("/dev/nvme0n1p1".into(), 100 << 30),
            ("/dev/nvme1n1".into(), 900 << 30),
        ]),
        links: BTreeMap::from([
            ("eth0".into(), Some(25_000)),
            ("eth1".into(), Some(1_000)),
            ("eth2".into(), None),
        ]),
        product_serial: Some("RACK-7-3".into()),
        machine_id: Some("0123456789abcdef0123456789abcdef".into()),
        skills: vec!["avx512".into()],
    }
}

fn gpus(names: &[(&str, u64)]) -> Gpus {
    let found = names.iter().map(|(name, mib)| Gpu {
        name: (*name).into(),
        memory_mib: Some(*mib),
    });
    Gpus::of(Ok(found.collect()), Vec::new(), names.len(), 0)
}

fn given() -> Given {
    Given {
        region: Some("eu-west".into()),
        ..Given::default()
    }
}

fn attributes(survey: &Survey) -> serde_json::Value {
    serde_json::to_value(survey.file().attributes).unwrap()
}

#[test]
fn a_whole_machine_in_the_units_of_the_type() {
    let four = gpus(&[("NVIDIA A10", 23_028); 4]);
    let survey = survey_of(&given(), &rack(), &four).unwrap();
    assert_eq!(
        attributes(&survey),
        serde_json::json!({
            "cpu_milli": 64_000, "memory_mib": 262_144, "gpu_milli": 4000, "disk_gib": 1000, "bandwidth_mbps": 25_000,
            "gpu_memory_mib": 23_028, "gpu_model": ["A10"], "region": "eu-west", "skills": ["avx512"],
        })
    );
    let file = survey.file();
    assert_eq!(file.serial, "RACK-7-3");
    assert_eq!(file.about.as_deref(), Some("4x NVIDIA A10, EPYC 7R32"));
    assert_eq!(survey.unseen().count(), 0);
    // What is written is what `tender issuer attest` reads, and the type takes it.
    let text = serde_json::to_string(&file).unwrap();
    let read: InventoryFile = serde_json::from_str(&text).unwrap();
    let claim = resources::schema().attributes_from_named(&read.attributes);
    assert!(claim.is_ok(), "{claim:?}");
    // Every field has its line, with where it comes from.
    let fields: Vec<_> = survey.findings.iter().map(|it| it.field).collect();
    let schema = resources::schema();
    let known = schema.fields.iter().map(|field| field.name.as_str());
    assert_eq!(
        fields,
        ["serial"].into_iter().chain(known).collect::<Vec<_>>()
    );
    assert!(survey.findings.iter().all(|it| !it.source.is_empty()));
}

#[test]
fn limits_of_a_container_and_the_smaller_of_two_gpus_count() {
    let host = Host {
        usable: Some(6),
        memory_limit: Some(8 << 30),
        ..rack()
    };
    let mixed = gpus(&[("NVIDIA A100-SXM4-80GB", 81_920), ("Tesla T4", 15_109)]);
    let survey = survey_of(&given(), &host, &mixed).unwrap();
    let seen = attributes(&survey);
    assert_eq!(
        (seen["cpu_milli"].as_u64(), seen["memory_mib"].as_u64()),
        (Some(6000), Some(8192))
    );
    assert_eq!(seen["gpu_memory_mib"], 15_109);
    assert_eq!(seen["gpu_model"], serde_json::json!(["A100-80G", "T4"]));
    let cpu = survey
        .findings
        .iter()
        .find(|it| it.field == "cpu_milli")
        .unwrap();
    assert!(cpu.source.contains("leaves 6"), "{}", cpu.source);
}

#[test]
fn what_cannot_be_seen_is_left_out_and_said() {
    let blind = Host {
        processors: 2,
        memory: 4 << 30,
        links: BTreeMap::from([("eth0".into(), None)]),
        ..Host::default()
    };
    let none = Gpus::of(
        Err("its driver's library libnvidia-ml is not here".into()),
        Vec::new(),
        1,
        2,
    );
    let survey = survey_of(&Given::default(), &blind, &none).unwrap();
    let seen = attributes(&survey);
    for absent in ["region", "disk_gib", "bandwidth_mbps"] {
        assert!(seen.get(absent).is_none(), "{seen}");
    }
    let missing: Vec<_> = survey.missing().map(|it| it.field).collect();
    assert_eq!(missing, ["serial", "region"]);
    for (field, says) in [
        ("serial", "--serial"),
        ("region", "eu-west"),
        ("bandwidth_mbps", "driver of eth0"),
    ] {
        let finding = survey.unseen().find(|it| it.field == field).unwrap();
        assert!(finding.source.contains(says), "{}", finding.source);
    }
    // No driver, no GPU; but what the bus shows is not kept quiet.
    assert_eq!(
        (seen["gpu_milli"].as_u64(), seen["gpu_model"].as_str()),
        (Some(0), Some("none"))
    );
    let gpu = survey
        .findings
        .iter()
        .find(|it| it.field == "gpu_milli")
        .unwrap();
    for says in [
        "no GPU seen",
        "shows 1 of NVIDIA",
        "libnvidia-ml",
        "shows 2 of AMD",
    ] {
        assert!(gpu.source.contains(says), "{}", gpu.source);
    }
    // A GPU without a label is no guess either.
    let survey = survey_of(&given(), &rack(), &gpus(&[("NVIDIA A10G", 23_028)])).unwrap();
    let model = survey.missing().next().unwrap();
    assert!(model.field == "gpu_model" && model.source.contains("NVIDIA A10G"));
    assert!(attributes(&survey).get("gpu_model").is_none());
}

#[test]
fn people_may_say_what_a_machine_cannot() {
    let all = Given {
        serial: Some(" box-9 ".into()),
        about: Some("under the desk".into()),
        region: Some("uk".into()),
        skills: vec!["docker".into(), "AVX512".into()],
        gpu_models: vec!["A10".into()],
        bandwidth_mbps: Some(500),
    };
    let survey = survey_of(&all, &rack(), &gpus(&[("NVIDIA A10G", 23_028)])).unwrap();
    let seen = attributes(&survey);
    assert_eq!(seen["bandwidth_mbps"], 500);
    assert_eq!(seen["gpu_model"], serde_json::json!(["A10"]));
    assert_eq!(seen["skills"], serde_json::json!(["avx512", "docker"]));
    let file = survey.file();
    assert_eq!(
        (file.serial.as_str(), file.about.as_deref()),
        ("box-9", Some("under the desk"))
    );
    let without = Given {
        gpu_models: vec!["none".into()],
        ..all.clone()
    };
    let survey = survey_of(&without, &rack(), &gpus(&[("NVIDIA A10G", 23_028)])).unwrap();
    let seen = attributes(&survey);
    assert_eq!(
        (seen["gpu_milli"].as_u64(), seen["gpu_memory_mib"].as_u64()),
        (Some(0), Some(0))
    );
    assert_eq!(seen["gpu_model"], "none");

    let refused = |given: Given| {
        survey_of(&given, &rack(), &gpus(&[]))
            .unwrap_err()
            .to_string()
    };
    let said = refused(Given {
        region: Some("mars".into()),
        ..Given::default()
    });
    assert!(
        said.contains("no label `mars`") && said.contains("eu-west"),
        "{said}"
    );
    let said = refused(Given {
        skills: vec!["juggling".into()],
        ..Given::default()
    });
    assert!(
        said.contains("juggling") && said.contains("docker"),
        "{said}"
    );
    assert!(refused(all).contains("NVML lists none"));
    assert!(
        refused(Given {
            serial: Some(" ".into()),
            ..Given::default()
        })
        .contains("--serial")
    );
}

#[test]
fn a_machine_id_never_leaves_the_machine_and_fillers_are_no_serials() {
    let id = "0123456789abcdef0123456789abcdef";
    let host = Host {
        product_serial: None,
        ..rack()
    };
    let survey = survey_of(&given(), &host, &gpus(&[])).unwrap();
    let text = serde_json::to_string(&survey.file()).unwrap();
    assert!(!text.contains(id) && !text.contains(&id[..8]), "{text}");
    let serial = survey.file().serial;
    assert_eq!(serial, super::host::of_machine_id(&format!("{id}\n")));
    assert!(
        serial.starts_with("machine-") && serial.len() == 40,
        "{serial}"
    );
    assert_ne!(
        serial,
        super::host::of_machine_id("0123456789abcdef0123456789abcdee")
    );
    for filler in [
        "",
        "0",
        "00000000",
        "To Be Filled By O.E.M.",
        "Default string",
        "None",
        "System Serial Number",
        "xxxxxxx",
    ] {
        assert!(!super::host::is_serial(filler), "{filler}");
    }
    for serial in ["RACK-7-3", "CZ3529XK4P", "VMware-56 4d 1f"] {
        assert!(super::host::is_serial(serial), "{serial}");
    }
}

fn write(root: &std::path::Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn links_are_physical_and_up() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("lo/operstate", "unknown\n"),
            ("eth0/operstate", "up\n"),
            ("eth0/device/vendor", "0x8086\n"),
            ("eth0/speed", "10000\n"),
            ("eth1/operstate", "down\n"),
            ("eth1/device/vendor", "0x8086\n"),
            ("eth1/speed", "40000\n"),
            ("virt0/operstate", "up\n"),
            ("virt0/device/vendor", "0x1af4\n"),
            ("virt0/speed", "-1\n"),
            ("bond0/operstate", "up\n"),
            ("bond0/bonding/mode", "802.3ad 4\n"),
            ("bond0/speed", "20000\n"),
            ("docker0/operstate", "up\n"),
            ("docker0/speed", "10000\n"),
        ],
    );
    let found = super::host::links(dir.path());
    let expected = [
        ("bond0", Some(20_000)),
        ("eth0", Some(10_000)),
        ("virt0", None),
    ];
    assert_eq!(
        found,
        expected
            .map(|(name, speed)| (name.to_owned(), speed))
            .into()
    );
    assert!(super::host::links(&dir.path().join("nowhere")).is_empty());
}

#[test]
fn amd_cards_are_read_from_sysfs_and_the_bus_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        &[
            ("drm/card0/device/vendor", "0x1002\n"),
            ("drm/card0/device/mem_info_vram_total", "206141652992\n"),
            ("drm/card0/device/product_name", "AMD Instinct MI300X\n"),
            ("drm/card0-DP-1/device/vendor", "0x1002\n"),
            ("drm/card1/device/vendor", "0x8086\n"),
            ("drm/card2/device/vendor", "0x1002\n"),
            ("drm/card2/device/device", "0x164e\n"),
            ("drm/card2/device/mem_info_vram_total", "536870912\n"),
            ("drm/renderD128/device/vendor", "0x1002\n"),
            ("pci/a/vendor", "0x10de\n"),
            ("pci/a/class", "0x030200\n"),
            ("pci/b/vendor", "0x10de\n"),
            ("pci/b/class", "0x040300\n"),
            ("pci/c/vendor", "0x1002\n"),
            ("pci/c/class", "0x038000\n"),
        ],
    );
    let found = gpu::amd(&dir.path().join("drm"));
    assert_eq!(found[0].name, "AMD Instinct MI300X");
    assert_eq!(found[0].memory_mib, Some(196_592));
    assert_eq!(
        label_of(&found[0].name, found[0].memory_mib),
        Some("MI300X")
    );
    assert_eq!(
        (found.len(), found[1].name.as_str()),
        (2, "AMD device 0x164e")
    );
    let bus = dir.path().join("pci");
    assert_eq!(
        (
            gpu::on_bus(&bus, "0x10de"),
            gpu::on_bus(&bus, "0x1002"),
            gpu::on_bus(&bus, "0x8086")
        ),
        (1, 1, 0)
    );
}

#[test]
fn this_machine_has_something_of_everything_that_every_machine_has() {
    let this = survey(&given()).unwrap();
    let seen = attributes(&this);
    let at_least = |field: &str, least: u64| {
        let value = seen[field].as_u64();
        assert!(value.is_some_and(|it| it >= least), "{field}: {seen}");
    };
    at_least("cpu_milli", 1000);
    at_least("memory_mib", 64);
    let processors = std::thread::available_parallelism().unwrap().get() as u64;
    assert_eq!(seen["cpu_milli"], processors * 1000);
}

#[test]
fn so_many_gpus_of_a_driver_are_counted_and_no_more() {
    for (has, seen) in [(gpu::MAX_GPUS, gpu::MAX_GPUS), (u32::MAX, gpu::MAX_GPUS)] {
        let of_driver = |index: u32| {
            Ok::<_, ()>(Gpu {
                name: index.to_string(),
                memory_mib: None,
            })
        };
        let found = gpu::first(has, of_driver).unwrap();
        assert_eq!(found.len() as u32, seen);
    }
}

#[test]
fn a_figure_of_the_system_is_so_long_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("figure");
    let most = usize::try_from(MAX_TEXT).unwrap();
    for (bytes, seen) in [(most, true), (most + 1, false)] {
        std::fs::write(&path, "7".repeat(bytes)).unwrap();
        assert_eq!(read(&path).is_some(), seen, "{bytes}");
    }
}

#[test]
fn a_directory_of_the_system_is_looked_at_so_far_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    for entry in 0..=MAX_ENTRIES {
        std::fs::write(dir.path().join(entry.to_string()), "").unwrap();
    }
    assert_eq!(entries(dir.path()).len(), MAX_ENTRIES);
}
