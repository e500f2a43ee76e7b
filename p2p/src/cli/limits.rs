//! `tender limits`: every limit of this program, what becomes of one more, and why.

use super::{
    error::Failure,
    out,
    table::{Table, amount},
};
use crate::limits::{Door, table};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct LimitsArgs {
    /// Print data as JSON: with the reason of each, and the test that sends one more
    #[arg(long)]
    json: bool,
}

impl LimitsArgs {
    pub(super) fn run(self) -> Result<(), Failure> {
        let limits = table();
        if self.json {
            return out::json(&limits);
        }
        for door in Door::ALL {
            let mut rows = Table::new(["at most", "of", "one more", "constant"]);
            for limit in limits.iter().filter(|limit| limit.door == *door) {
                rows.row([
                    amount(limit.value),
                    limit.unit.into(),
                    limit.one_more.into(),
                    limit.short_name().into(),
                ]);
            }
            out::say(format_args!("{}\n\n{rows}", door.title()));
        }
        Ok(())
    }
}
