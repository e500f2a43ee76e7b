//! Plain text tables: columns as wide as their widest cell.

use tender_circuits::{ClaimSchema, Rule};

/// Widest cell: far wider than a screen, far narrower than a stranger could make it.
const MAX_CELL_CHARS: usize = 2000;

/// Rows of cells under headings.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Table {
            rows: vec![headings.iter().map(|h| (*h).to_owned()).collect()],
        }
    }

    /// Appends a row. A cell is one line, whoever wrote it.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells.map(|cell| tender_wire::text::line(&cell, MAX_CELL_CHARS));
        self.rows.push(cells.into());
    }

    /// Whether there are only headings.
    pub fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| {
                // numbers to the right, words to the left
                if cell.starts_with(|c: char| c.is_ascii_digit())
                    && cell.chars().all(|c| c.is_ascii_digit() || c == ',')
                {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                }
            });
            writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// The fields of a capability type: how a claim covers a requirement, and what it is written in.
pub fn schema_table(schema: &ClaimSchema) -> Table {
    let mut table = Table::new(["field", "a claim covers", "unit or labels"]);
    for field in &schema.fields {
        let rule = match field.rule {
            Rule::AtLeast { consumable: true } => "at least; used up by assignments",
            Rule::AtLeast { consumable: false } => "at least",
            Rule::HasAll => "has all",
            Rule::Within => "within",
            Rule::Equals => "equals",
        };
        let words = if field.labels.is_empty() {
            field.unit.clone()
        } else {
            field.labels.join(" ")
        };
        table.row([field.name.clone(), rule.into(), words]);
    }
    table
}

/// An amount with thousands separated: `61,000`.
pub fn amount(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Table, amount};

    /// D: a name with line ends in it makes no rows of its own.
    #[test]
    fn a_cell_is_one_line() {
        let mut table = Table::new(["task"]);
        table.row(["render\n  won  1,000,000".into()]);
        assert_eq!(table.to_string().lines().count(), 2);
    }

    #[test]
    fn columns_line_up_and_amounts_read_well() {
        let mut table = Table::new(["task", "price"]);
        table.row(["render".into(), amount(1_234_567)]);
        table.row(["x".into(), amount(7)]);
        assert_eq!(
            table.to_string(),
            "  task    price\n  render  1,234,567\n  x               7\n"
        );
    }
}
