//! Where a figure was measured: processor, cores, features, compiler, build. Without it a time says nothing.

use serde::Serialize;

/// The machine and the build.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// As the system names it; `unknown` where it does not.
    pub(super) processor: String,
    /// Cores this program may use.
    pub(super) cores: usize,
    /// Memory of the machine in MiB, where the system says.
    pub(super) memory_mib: Option<u64>,
    /// Features of the processor that matter to field arithmetic.
    pub(super) features: Vec<&'static str>,
    /// Operating system and architecture built for.
    pub(super) target: &'static str,
    /// Compiler.
    pub(super) compiler: &'static str,
    /// Cargo's profile family and optimisation level.
    pub(super) profile: String,
    /// False in a build with debug assertions or without optimisation: its figures are no measure.
    pub(super) optimised: bool,
    /// Version of the program.
    pub(super) version: &'static str,
    /// Commit, if `TENDER_COMMIT` named it while building.
    pub(super) commit: Option<&'static str>,
}

impl Machine {
    /// This machine and this build.
    pub(super) fn here() -> Self {
        let (profile, level) = (env!("TENDER_PROFILE"), env!("TENDER_OPT_LEVEL"));
        Machine {
            processor: processor().unwrap_or_else(|| "unknown".into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_mib(),
            features: features(),
            target: env!("TENDER_TARGET"),
            compiler: env!("TENDER_RUSTC"),
            profile: format!("{profile}, opt-level {level}"),
            optimised: !cfg!(debug_assertions) && level == "3",
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("TENDER_COMMIT").filter(|commit| !commit.is_empty()),
        }
    }

    /// A warning about the build, if there is reason for one.
    pub(super) fn warning(&self) -> Option<String> {
        let Machine { profile, .. } = self;
        (!self.optimised).then(|| {
            format!(
                "this program was built without full optimisation or with debug assertions ({profile}): \
                 the figures are not those of `cargo build --release`"
            )
        })
    }

    /// What matters most, on one line for people.
    pub(super) fn summary(&self) -> String {
        let ifma = self.features.contains(&"avx512ifma");
        let (Machine { processor, .. }, cores) = (self, self.cores);
        let with = if ifma { "with" } else { "without" };
        format!("{processor}, {cores} cores, {with} AVX-512 IFMA")
    }

    /// On one line.
    pub(super) fn line(&self) -> String {
        let features = self.features.join(" ");
        let Machine {
            processor,
            cores,
            compiler,
            profile,
            ..
        } = self;
        format!("{processor}, {cores} cores, {features}; {compiler}, {profile}")
    }
}

/// The value of a line of a `/proc` file, on systems that have one.
fn proc_line(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(key, _)| key.trim() == name)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn processor() -> Option<String> {
    proc_line("/proc/cpuinfo", "model name").or_else(|| proc_line("/proc/cpuinfo", "Processor"))
}

fn memory_mib() -> Option<u64> {
    let kib = proc_line("/proc/meminfo", "MemTotal")?;
    let kib: u64 = kib.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [
        ("bmi2", std::arch::is_x86_feature_detected!("bmi2")),
        ("adx", std::arch::is_x86_feature_detected!("adx")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
        ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
        (
            "avx512ifma",
            std::arch::is_x86_feature_detected!("avx512ifma"),
        ),
        ("avx512vl", std::arch::is_x86_feature_detected!("avx512vl")),
        ("sha", std::arch::is_x86_feature_detected!("sha")),
    ];
    let present = known.into_iter().filter(|(_, present)| *present);
    present.map(|(name, _)| name).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::Machine;

    #[test]
    fn the_description_is_complete_and_a_debug_build_is_told() {
        let machine = Machine::here();
        assert!(machine.compiler.starts_with("rustc "), "{machine:?}");
        assert!(!machine.target.is_empty() && machine.cores > 0);
        assert_eq!(machine.warning().is_some(), !machine.optimised);
        assert!(!(cfg!(debug_assertions) && machine.optimised));
    }
}
