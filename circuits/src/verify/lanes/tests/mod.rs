//! Every layer against arkworks, in every lane, on both implementations of the field.

#[cfg(target_arch = "x86_64")]
mod across;
mod engine;
mod field;
mod layers;

/// Makes a test of each generic function, for both fields. Eight lanes are skipped, and said to be, where the processor has none.
macro_rules! on_both_fields {
    ($($(#[$attribute:meta])* $name:ident;)*) => {
        mod portable {
            $(#[test] $(#[$attribute])* fn $name() { super::$name::<super::super::super::portable::Portable>(); })*
        }
        #[cfg(target_arch = "x86_64")]
        mod ifma {
            $(#[test] $(#[$attribute])* fn $name() {
                if super::super::super::has_ifma() {
                    super::$name::<super::super::super::ifma::Ifma>();
                } else {
                    eprintln!("skipped: no AVX-512 IFMA here");
                }
            })*
        }
    };
}
use on_both_fields;
