//! GPUs: NVIDIA's by NVML (the driver's own library, looked for at run time), AMD's by what the `amdgpu` driver writes into sysfs.
//!
//! A machine without either driver has no GPU that could do anything; if the PCI bus shows one all the same, that is said.

use super::{Finding, entries, models::label_of, read};
use nvml_wrapper::{Nvml, error::NvmlError};
use std::{collections::BTreeMap, path::Path};

/// The label of a machine without a GPU.
pub(super) const NONE: &str = "none";
const MIB: u64 = 1 << 20;
const NVIDIA: &str = "0x10de";
const AMD: &str = "0x1002";
/// Most GPUs asked of one driver.
pub(crate) const MAX_GPUS: u32 = 1024;

/// A GPU as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its name, as the driver has it.
    pub name: String,
    /// Its memory in MiB, where the driver says.
    pub memory_mib: Option<u64>,
}

/// The GPUs of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpus {
    /// Those seen.
    pub found: Vec<Gpu>,
    /// Who says so, or why none is seen.
    pub note: String,
}

impl Gpus {
    /// Looks at this machine; `sys` is where sysfs is mounted.
    pub fn look(sys: &Path) -> Self {
        let nvidia = nvidia();
        let amd = amd(&sys.join("class/drm"));
        let on_bus = |vendor: &str| on_bus(&sys.join("bus/pci/devices"), vendor);
        Self::of(nvidia, amd, on_bus(NVIDIA), on_bus(AMD))
    }

    /// Puts together what the drivers say and what the PCI bus shows.
    pub(super) fn of(
        nvidia: Result<Vec<Gpu>, String>,
        amd: Vec<Gpu>,
        nvidia_on_bus: usize,
        amd_on_bus: usize,
    ) -> Self {
        let mut notes = Vec::new();
        let mut found = Vec::new();
        match nvidia {
            Ok(gpus) if !gpus.is_empty() => {
                notes.push(format!("{} by NVML", gpus.len()));
                found.extend(gpus);
            }
            Ok(_) if nvidia_on_bus > 0 => notes.push(format!(
                "NVML lists none, though the PCI bus shows {nvidia_on_bus} of NVIDIA"
            )),
            Ok(_) => notes.push("NVML lists none".into()),
            Err(why) if nvidia_on_bus > 0 => notes.push(format!(
                "the PCI bus shows {nvidia_on_bus} of NVIDIA, but {why}"
            )),
            Err(why) => notes.push(format!("no NVIDIA GPU: {why}")),
        }
        match amd.len() {
            0 if amd_on_bus > 0 => notes.push(format!(
                "the PCI bus shows {amd_on_bus} of AMD, but the amdgpu driver shows none"
            )),
            0 => {}
            n => notes.push(format!("{n} by the amdgpu driver")),
        }
        found.extend(amd);
        if found.is_empty() {
            notes.insert(0, "no GPU seen".into());
        }
        Gpus {
            found,
            note: notes.join("; "),
        }
    }

    /// `gpu_milli`, `gpu_memory_mib` and `gpu_model`.
    pub(super) fn findings(&self, given: &[String]) -> [Finding; 3] {
        const COUNT: &str = "gpu_milli";
        const MEMORY: &str = "gpu_memory_mib";
        const MODEL: &str = "gpu_model";
        let left_out = given.iter().any(|it| it.eq_ignore_ascii_case(NONE));
        if left_out || self.found.is_empty() {
            let why = if left_out {
                "left out by --gpu-model none"
            } else {
                &self.note
            };
            let zero = |field| Finding::seen(field, 0, why);
            return [zero(COUNT), zero(MEMORY), Finding::text(MODEL, NONE, why)];
        }
        let number = u64::try_from(self.found.len()).unwrap_or(u64::MAX);
        let count = Finding::seen(COUNT, number.saturating_mul(1000), self.note.clone());
        let memories: Option<Vec<u64>> = self.found.iter().map(|gpu| gpu.memory_mib).collect();
        let memory = match memories.and_then(|all| all.into_iter().min()) {
            Some(least) if number == 1 => {
                Finding::seen(MEMORY, least, "total memory by the driver")
            }
            Some(least) => Finding::seen(
                MEMORY,
                least,
                "total memory by the driver, of the smallest GPU",
            ),
            None => Finding::unseen(
                MEMORY,
                "the driver does not say; attested as 0 unless written into the file",
            ),
        };
        [count, memory, self.model(MODEL, given)]
    }

    fn model(&self, field: &'static str, given: &[String]) -> Finding {
        if !given.is_empty() {
            let source = format!("given; the driver says {}", self.counted().join(", "));
            return Finding::labels(field, given.to_vec(), source);
        }
        let mut labels = Vec::new();
        for gpu in &self.found {
            match label_of(&gpu.name, gpu.memory_mib) {
                Some(label) if labels.contains(&label) => {}
                Some(label) => labels.push(label),
                None => {
                    let why = format!(
                        "`{}` has no label: give the one that fits by --gpu-model NAME, or leave the GPUs out by --gpu-model none",
                        gpu.name
                    );
                    return Finding::unseen(field, why);
                }
            }
        }
        let labels = labels.into_iter().map(str::to_owned).collect();
        Finding::labels(
            field,
            labels,
            format!("by name: {}", self.counted().join(", ")),
        )
    }

    /// `8x NVIDIA A100-SXM4-80GB`, by name.
    pub(super) fn counted(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for gpu in &self.found {
            let count = counts.entry(&gpu.name).or_default();
            *count = count.saturating_add(1);
        }
        counts
            .iter()
            .map(|(name, n)| format!("{n}x {name}"))
            .collect()
    }
}

/// What NVML says, or why it says nothing.
fn nvidia() -> Result<Vec<Gpu>, String> {
    let nvml = Nvml::init().map_err(|e| match e {
        NvmlError::LibloadingError(_) => "its driver's library libnvidia-ml is not here".to_owned(),
        other => format!("its driver's library says: {other}"),
    })?;
    let gpu = |index| {
        let device = nvml.device_by_index(index)?;
        let memory = device.memory_info().ok();
        Ok(Gpu {
            name: device.name()?,
            memory_mib: memory.map(|info| info.total / MIB),
        })
    };
    let all = nvml.device_count().and_then(|count| first(count, gpu));
    all.map_err(|e| format!("its driver's library says: {e}"))
}

/// Of so many GPUs those that are asked of.
pub(super) fn first<E>(count: u32, gpu: impl FnMut(u32) -> Result<Gpu, E>) -> Result<Vec<Gpu>, E> {
    (0..count.min(MAX_GPUS)).map(gpu).collect()
}

/// What the `amdgpu` driver shows: one card a directory, connectors and render nodes beside it.
pub(super) fn amd(drm: &Path) -> Vec<Gpu> {
    let cards = entries(drm).into_iter().filter(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let number = name.strip_prefix("card");
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    });
    let gpu = |card: std::path::PathBuf| {
        let device = card.join("device");
        if read(&device.join("vendor"))? != AMD {
            return None;
        }
        let memory = read(&device.join("mem_info_vram_total"))?
            .parse::<u64>()
            .ok()?;
        let id = || read(&device.join("device")).unwrap_or_default();
        let name =
            read(&device.join("product_name")).unwrap_or_else(|| format!("AMD device {}", id()));
        Some(Gpu {
            name,
            memory_mib: Some(memory / MIB),
        })
    };
    cards.filter_map(gpu).collect()
}

/// Display controllers (PCI class 03) of a vendor.
pub(super) fn on_bus(devices: &Path, vendor: &str) -> usize {
    let is_one = |device: &std::path::PathBuf| {
        read(&device.join("vendor")).is_some_and(|it| it == vendor)
            && read(&device.join("class")).is_some_and(|class| class.starts_with("0x03"))
    };
    entries(devices).iter().filter(|it| is_one(it)).count()
}
