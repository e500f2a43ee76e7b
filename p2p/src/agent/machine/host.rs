//! Processors, memory, disks, network links and serial number, from the operating system.

use super::{Finding, SERIAL, entries, read};
use sha2::{Digest as _, Sha256};
use std::{collections::BTreeMap, path::Path};
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, Product, RefreshKind, System};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What the operating system says of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// Logical processors.
    pub processors: u64,
    /// Physical cores, where known.
    pub cores: Option<u64>,
    /// Processors this process may use: a container's quota or an affinity mask can leave fewer.
    pub usable: Option<u64>,
    /// The processor's name.
    pub brand: Option<String>,
    /// Memory in bytes.
    pub memory: u64,
    /// A container's limit of memory in bytes.
    pub memory_limit: Option<u64>,
    /// Total bytes of each local, writable, fixed file system, by device.
    pub disks: BTreeMap<String, u64>,
    /// Speed of each physical link that is up, in Mbit/s; `None` where the driver does not say.
    pub links: BTreeMap<String, Option<u64>>,
    /// The product's serial number, where readable and more than a vendor's filler.
    pub product_serial: Option<String>,
    /// The installation's id, from `/etc/machine-id`. Confidential: see [`of_machine_id`].
    pub machine_id: Option<String>,
    /// Labels of `skills` that can be seen.
    pub skills: Vec<String>,
}

impl Host {
    /// Looks at this machine; `sys` is where sysfs is mounted.
    pub(super) fn look(sys: &Path) -> Self {
        let what = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing())
            .with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(what);
        let cpus = system.cpus();
        let brand = cpus.first().map(|cpu| cpu.brand().trim().to_owned());
        let usable = std::thread::available_parallelism().ok();
        Host {
            processors: count(cpus.len()),
            cores: System::physical_core_count().map(count),
            usable: usable.map(|n| count(n.get())),
            brand: brand.filter(|name| !name.is_empty()),
            memory: system.total_memory(),
            memory_limit: system.cgroup_limits().map(|limits| limits.total_memory),
            disks: disks(),
            links: links(&sys.join("class/net")),
            product_serial: Product::serial_number().filter(|it| is_serial(it)),
            machine_id: read(Path::new("/etc/machine-id")),
            skills: visible_skills(),
        }
    }

    pub(super) fn serial(&self, given: Option<&str>) -> Finding {
        if let Some(serial) = given {
            return Finding::text(SERIAL, serial.trim(), "given");
        }
        if let Some(serial) = &self.product_serial {
            return Finding::text(
                SERIAL,
                serial.clone(),
                "the product's serial number (firmware)",
            );
        }
        match &self.machine_id {
            Some(id) => Finding::text(
                SERIAL,
                of_machine_id(id),
                "a hash of /etc/machine-id, which another installation changes; the firmware's serial number cannot be read (try as root, or give --serial)",
            ),
            None => Finding::unseen(
                SERIAL,
                "neither the firmware's serial number nor /etc/machine-id can be read: give --serial TEXT",
            ),
        }
    }

    pub(super) fn cpu(&self) -> Finding {
        if self.processors == 0 {
            return Finding::unseen("cpu_milli", "the system lists no processors");
        }
        let usable = self.usable.unwrap_or(self.processors).min(self.processors);
        let mut source = format!("{} logical processors", self.processors);
        if let Some(cores) = self.cores {
            source.push_str(&format!(" on {cores} cores"));
        }
        if usable < self.processors {
            source.push_str(&format!(", of which a quota or mask leaves {usable}"));
        }
        Finding::seen("cpu_milli", usable.saturating_mul(1000), source)
    }

    pub(super) fn cpu_name(&self) -> Option<String> {
        self.brand.clone()
    }

    pub(super) fn memory(&self) -> Finding {
        let usable = self.memory_limit.unwrap_or(self.memory).min(self.memory);
        if usable == 0 {
            return Finding::unseen(
                "memory_mib",
                "the system does not say how much memory there is",
            );
        }
        let source = if usable < self.memory {
            format!(
                "the control group's limit; the machine has {} MiB",
                self.memory / MIB
            )
        } else {
            "what the kernel manages of the memory installed".into()
        };
        Finding::seen("memory_mib", usable / MIB, source)
    }

    pub(super) fn disk(&self) -> Finding {
        if self.disks.is_empty() {
            return Finding::unseen(
                "disk_gib",
                "no local writable file system is seen; attested as 0 unless written into the file",
            );
        }
        let total = self.disks.values().copied().fold(0, u64::saturating_add);
        let names: Vec<_> = self.disks.keys().map(String::as_str).collect();
        let source = format!(
            "size of the local writable file systems on {}, used space included",
            names.join(", ")
        );
        Finding::seen("disk_gib", total / GIB, source)
    }

    pub(super) fn bandwidth(&self, given: Option<u32>) -> Finding {
        const FIELD: &str = "bandwidth_mbps";
        const GIVE: &str = "attested as 0 unless given by --bandwidth-mbps N";
        if let Some(given) = given {
            return Finding::seen(FIELD, u64::from(given), "given");
        }
        let known = self
            .links
            .iter()
            .filter_map(|(name, speed)| Some((name, (*speed)?)));
        let fastest = known.max_by_key(|(_, speed)| *speed);
        match fastest {
            Some((name, speed)) => Finding::seen(
                FIELD,
                speed,
                format!("speed of the link {name}; what lies behind it may be slower"),
            ),
            None if self.links.is_empty() => {
                Finding::unseen(FIELD, format!("no physical link is up; {GIVE}"))
            }
            None => {
                let names: Vec<_> = self.links.keys().map(String::as_str).collect();
                Finding::unseen(
                    FIELD,
                    format!(
                        "the driver of {} does not say its speed; {GIVE}",
                        names.join(", ")
                    ),
                )
            }
        }
    }

    pub(super) fn skills(&self, given: &[String]) -> Finding {
        let mut all = self.skills.clone();
        let known =
            |all: &[String], label: &str| all.iter().any(|it| it.eq_ignore_ascii_case(label));
        for label in given {
            if !known(&all, label) {
                all.push(label.clone());
            }
        }
        let source = match (self.skills.as_slice(), given) {
            ([], []) => "none can be seen: give each by --skill NAME".to_owned(),
            ([], _) => "given".into(),
            (seen, []) => format!(
                "{} from the processor; others cannot be seen: give each by --skill NAME",
                seen.join(", ")
            ),
            (seen, _) => format!("{} from the processor, the others given", seen.join(", ")),
        };
        Finding::labels("skills", all, source)
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A serial number made of the installation's id. machine-id(5) asks that the id itself never leaves the machine: an application is to
/// publish a keyed hash of it.
pub(super) fn of_machine_id(id: &str) -> String {
    let digest = Sha256::new()
        .chain_update(b"tender/1/machine-id")
        .chain_update(id.trim().as_bytes())
        .finalize();
    let digest: [u8; 32] = digest.into();
    let mut text = hex::encode(digest);
    text.truncate(32);
    format!("machine-{text}")
}

/// Whether firmware means this text as a serial number. Boards leave the factory with fillers; two such machines would be one asset.
pub(super) fn is_serial(text: &str) -> bool {
    const FILLERS: &[&str] = &[
        "to be filled by o.e.m.",
        "to be filled by oem",
        "default string",
        "system serial number",
        "not specified",
        "not applicable",
        "none",
        "n/a",
        "unknown",
        "oem",
        "0123456789",
        "123456789",
    ];
    let text = text.trim();
    let mut distinct: Vec<char> = text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    text.len() >= 4 && distinct.len() >= 2 && !FILLERS.contains(&text.to_ascii_lowercase().as_str())
}

/// Total size by device: a device mounted in several places counts once, a pool of ZFS once for all its file systems.
fn disks() -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for disk in Disks::new_with_refreshed_list().list() {
        let name = disk.name().to_string_lossy();
        let device = if disk.file_system() == "zfs" {
            name.split('/').next().unwrap_or_default().to_owned()
        } else if name.starts_with("/dev/") && !name.starts_with("/dev/loop") {
            name.into_owned()
        } else {
            continue;
        };
        if disk.is_removable() || disk.is_read_only() {
            continue;
        }
        let size: &mut u64 = found.entry(device).or_default();
        *size = disk.total_space().max(*size);
    }
    found
}

/// Links that are up and stand for hardware (or a bond of it): bridges, tunnels and containers' halves have no speed of their own.
pub(super) fn links(class: &Path) -> BTreeMap<String, Option<u64>> {
    let mut found = BTreeMap::new();
    for link in entries(class) {
        let physical = link.join("device").exists() || link.join("bonding").exists();
        let up = read(&link.join("operstate")).is_some_and(|state| state == "up");
        if !physical || !up {
            continue;
        }
        // -1 or an error where the driver does not know.
        let speed = read(&link.join("speed")).and_then(|text| text.parse::<u64>().ok());
        let name = link.file_name().unwrap_or_default().to_string_lossy();
        found.insert(
            name.into_owned(),
            speed.filter(|s| *s > 0 && *s < u64::from(u32::MAX)),
        );
    }
    found
}

fn visible_skills() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return vec!["avx512".into()];
    }
    Vec::new()
}
