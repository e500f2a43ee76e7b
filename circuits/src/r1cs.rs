//! Rank-1 constraints, written down as they are built: `⟨A_i, z⟩ · ⟨B_i, z⟩ = ⟨C_i, z⟩`.
//!
//! Why not `ark-r1cs-std`: it opens a tracing span around every operation and formats its operands, which are witnesses; it cannot
//! name a constraint by a runtime string; and it rebuilds the matrices for every proof. Here a [`Builder`] collects rows and
//! values, a `Shape` keeps the rows (the circuit), and every row knows the *scope* it was written in and its line of source, so an
//! unsatisfied one is named, in words and by place: `cpu_milli/attested covers claimed`, circuits/src/gadgets/range.rs:56.
//!
//! Invariant: the rows depend on the circuit alone, never on values. Layout of `z`: `1`, public inputs, witnesses.
#![allow(clippy::arithmetic_side_effects)] // field elements; counters bounded by MAX_CONSTRAINTS

use crate::field::from_fr;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field};
use ark_relations::{
    gr1cs::{ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, SynthesisError},
    gr1cs::{Matrix, Variable},
};
use std::{collections::BTreeMap, fmt, panic::Location};
use tender_wire::{Digest, FieldBytes, Tag, hash::Hasher};
use zeroize::Zeroize;

/// Most constraints of a circuit: 2^20, the size at which a key file reaches some 300 MB and proving a minute.
pub const MAX_CONSTRAINTS: usize = 1 << 20;

/// A linear combination of variables, with its value under the assignment being built.
#[derive(Clone)]
pub struct Num {
    /// `(variable, coefficient)`, by variable, no zero coefficients, the constant one not among them. Empty when the builder does not record.
    terms: Vec<(usize, Fr)>,
    constant: Fr,
    /// Whether variables were put in, recorded or not.
    varies: bool,
    pub(crate) value: Fr,
}

impl Num {
    pub(crate) fn constant(value: Fr) -> Num {
        Num {
            terms: Vec::new(),
            constant: value,
            varies: false,
            value,
        }
    }

    /// Whether this is the same number under every assignment.
    pub(crate) fn is_constant(&self) -> bool {
        !self.varies
    }

    /// The constant `value`.
    pub fn from_u64(value: u64) -> Num {
        Num::constant(Fr::from(value))
    }

    /// Σ coefficient · item.
    pub(crate) fn combination<'a>(items: impl IntoIterator<Item = (Fr, &'a Num)>) -> Num {
        let mut sum = Num::constant(Fr::ZERO);
        for (coefficient, item) in items {
            let terms = item.terms.iter();
            sum.terms.extend(terms.map(|(i, c)| (*i, coefficient * c)));
            sum.constant += coefficient * item.constant;
            sum.varies |= item.varies;
            sum.value += coefficient * item.value;
        }
        merge(&mut sum.terms);
        sum
    }

    pub(crate) fn add_constant(&mut self, c: Fr) {
        self.constant += c;
        self.value += c;
    }

    /// The coefficients of a row of a matrix.
    fn row(&self) -> Vec<(Fr, usize)> {
        let constant = (self.constant != Fr::ZERO).then_some((self.constant, 0));
        let terms = self.terms.iter().map(|(i, c)| (*c, *i));
        constant.into_iter().chain(terms).collect()
    }

    /// The sum.
    #[must_use]
    pub fn plus(&self, other: &Num) -> Num {
        Num::combination([(Fr::ONE, self), (Fr::ONE, other)])
    }

    /// The difference, in the field: a negative one wraps, so bound it with a range check.
    #[must_use]
    pub fn minus(&self, other: &Num) -> Num {
        Num::combination([(Fr::ONE, self), (-Fr::ONE, other)])
    }

    /// The multiple by a constant.
    #[must_use]
    pub fn times(&self, factor: u64) -> Num {
        Num::combination([(Fr::from(factor), self)])
    }

    /// The value under the assignment being built (of no meaning during setup). For computing [`Builder::advice`]; never branch on it.
    pub fn value(&self) -> FieldBytes {
        from_fr(&self.value)
    }
}

impl Drop for Num {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

/// Adds up what belongs to one variable.
fn merge(terms: &mut Vec<(usize, Fr)>) {
    terms.sort_by_key(|(i, _)| *i);
    terms.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    terms.retain(|(_, c)| *c != Fr::ZERO);
}

/// The full assignment `z` of one proof: wiped when dropped.
pub(crate) struct Assignment(pub(crate) Vec<Fr>);

impl Drop for Assignment {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// `⟨A_i, z⟩` and `⟨B_i, z⟩` of every row under one assignment: wiped when dropped.
#[derive(Default)]
pub(crate) struct Factors {
    pub(crate) a: Vec<Fr>,
    pub(crate) b: Vec<Fr>,
    /// The first row whose product is not `⟨C_i, z⟩`.
    pub(crate) violated: Option<usize>,
}

impl Drop for Factors {
    fn drop(&mut self) {
        self.a.zeroize();
        self.b.zeroize();
    }
}

/// A line of the source.
type Line = &'static Location<'static>;

/// Where rows of one scope begin.
#[derive(Clone)]
struct Scope {
    first_row: usize,
    name: String,
    /// Where each part of the name was opened, outermost first.
    opened: Vec<Line>,
}

/// A constraint, as people find it: the scope it was written in, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Names of the enclosing scopes, outermost first, joined by `/`.
    pub scope: String,
    /// The line that writes it, often in a gadget.
    pub line: &'static Location<'static>,
    /// The nearest line of another file that opened an enclosing scope: where the circuit asks for it.
    pub opened: Option<&'static Location<'static>>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |line: Line| format!("{}:{}", line.file(), line.line());
        write!(f, "`{}`, {}", self.scope, at(self.line))?;
        match self.opened {
            Some(line) => write!(f, ", asked for at {}", at(line)),
            None => Ok(()),
        }
    }
}

/// Builds constraints and an assignment at once.
pub struct Builder {
    /// Whether rows are kept. When proving they are known already, and only values are wanted.
    record: bool,
    inputs: usize,
    assignment: Vec<Fr>,
    factors: Factors,
    matrices: [Matrix<Fr>; 3],
    lines: Vec<Line>,
    scopes: Vec<Scope>,
    path: Vec<(String, Line)>,
    /// Tests only: a check left out of the circuit, see [`Deleted`].
    #[cfg(test)]
    pub(crate) deleted: Option<Deleted>,
}

/// A range check that a test leaves out, to show that it was needed. Its bits, where used, are the attacker's choice.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Deleted {
    pub(crate) scope: String,
    pub(crate) bits_of: Option<u64>,
}

impl Builder {
    /// A builder that keeps rows as well as values.
    pub(crate) fn recording() -> Builder {
        let mut b = Builder::valuing(0, 0);
        b.record = true;
        b
    }

    /// A builder that only computes values. The room for them is reserved at once: a growing vector leaves copies behind.
    pub(crate) fn valuing(variables: usize, constraints: usize) -> Builder {
        let mut assignment = Vec::with_capacity(variables.max(1));
        assignment.push(Fr::ONE);
        Builder {
            record: false,
            inputs: 0,
            assignment,
            factors: Factors {
                a: Vec::with_capacity(constraints),
                b: Vec::with_capacity(constraints),
                violated: None,
            },
            matrices: Default::default(),
            lines: Vec::new(),
            scopes: Vec::new(),
            path: Vec::new(),
            #[cfg(test)]
            deleted: None,
        }
    }

    fn variable(&mut self, value: Fr) -> Num {
        let terms = if self.record {
            vec![(self.assignment.len(), Fr::ONE)]
        } else {
            Vec::new()
        };
        self.assignment.push(value);
        Num {
            terms,
            constant: Fr::ZERO,
            varies: true,
            value,
        }
    }

    /// A public input. All of them come before the first witness.
    pub(crate) fn input(&mut self, value: Fr) -> Num {
        debug_assert_eq!(self.assignment.len(), self.inputs + 1);
        self.inputs += 1;
        self.variable(value)
    }

    pub(crate) fn witness(&mut self, value: Fr) -> Num {
        self.variable(value)
    }

    /// A witness the prover is free to choose: bind it with constraints. Bytes that are not canonical count as zero.
    pub fn advice(&mut self, value: &FieldBytes) -> Num {
        self.witness(crate::field::to_fr(value).unwrap_or_default())
    }

    /// Names the constraints written inside `f`, below the names of the enclosing scopes.
    #[track_caller]
    pub fn scope<T>(&mut self, name: &str, f: impl FnOnce(&mut Builder) -> T) -> T {
        if !self.record {
            return f(self);
        }
        self.path.push((name.to_owned(), Location::caller()));
        let out = f(self);
        self.path.pop();
        out
    }

    /// The names of the enclosing scopes.
    fn here(&self) -> String {
        let names: Vec<_> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        names.join("/")
    }

    #[cfg(test)]
    pub(crate) fn deletion(&self) -> Option<Deleted> {
        self.deleted.clone().filter(|d| d.scope == self.here())
    }

    /// Constrains `a · b = c`.
    #[track_caller]
    pub fn enforce_product(&mut self, a: &Num, b: &Num, c: &Num) {
        if !self.record {
            let factors = &mut self.factors;
            if factors.violated.is_none() && a.value * b.value != c.value {
                factors.violated = Some(factors.a.len());
            }
            factors.a.push(a.value);
            factors.b.push(b.value);
            return;
        }
        let name = self.here();
        let opened = || self.path.iter().map(|(_, line)| *line);
        let same = |last: &Scope| last.name == name && last.opened.iter().copied().eq(opened());
        if !self.scopes.last().is_some_and(same) {
            self.scopes.push(Scope {
                first_row: self.lines.len(),
                opened: opened().collect(),
                name,
            });
        }
        self.lines.push(Location::caller());
        let [ma, mb, mc] = &mut self.matrices;
        for (matrix, num) in [(ma, a), (mb, b), (mc, c)] {
            matrix.push(num.row());
        }
    }

    /// Constrains `a = b`.
    #[track_caller]
    pub fn enforce_equal(&mut self, a: &Num, b: &Num) {
        self.enforce_product(a, &Num::from_u64(1), b);
    }

    /// Constrains 0 = 1: nothing satisfies the circuit.
    #[track_caller]
    pub fn refuse(&mut self) {
        self.enforce_equal(&Num::from_u64(0), &Num::from_u64(1));
    }

    /// A new variable constrained to `a · b`.
    #[track_caller]
    pub fn product(&mut self, a: &Num, b: &Num) -> Num {
        let c = self.witness(a.value * b.value);
        self.enforce_product(a, b, &c);
        c
    }

    /// Constraints written so far, if they are kept.
    pub(crate) fn rows(&self) -> usize {
        let [a, _, _] = &self.matrices;
        a.len()
    }

    /// What a builder that only computes values has computed.
    pub(crate) fn values(mut self) -> (Assignment, Factors) {
        let assignment = Assignment(std::mem::take(&mut self.assignment));
        (assignment, std::mem::take(&mut self.factors))
    }

    /// What a builder that keeps rows has built.
    pub(crate) fn finish(mut self) -> (Shape, Assignment) {
        let assignment = Assignment(std::mem::take(&mut self.assignment));
        let shape = Shape {
            inputs: self.inputs,
            variables: assignment.0.len(),
            matrices: std::mem::take(&mut self.matrices),
            lines: std::mem::take(&mut self.lines),
            scopes: std::mem::take(&mut self.scopes),
        };
        (shape, assignment)
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        self.assignment.zeroize();
    }
}

/// What a row of a matrix comes to.
fn value(row: &[(Fr, usize)], z: &Assignment) -> Fr {
    row.iter()
        .map(|(c, i)| *c * z.0.get(*i).copied().unwrap_or_default())
        .sum()
}

/// The circuit: its constraint matrices and the names of its rows.
#[derive(Clone)]
pub(crate) struct Shape {
    /// Public inputs, the constant one not counted.
    pub(crate) inputs: usize,
    /// Length of an assignment.
    pub(crate) variables: usize,
    pub(crate) matrices: [Matrix<Fr>; 3],
    /// Where each row was written.
    lines: Vec<Line>,
    /// By first row.
    scopes: Vec<Scope>,
}

impl Shape {
    pub(crate) fn constraints(&self) -> usize {
        let [a, _, _] = &self.matrices;
        a.len()
    }

    /// Constraints per outermost scope, largest first.
    pub(crate) fn profile(&self) -> Vec<(String, usize)> {
        let ends = self.scopes.iter().skip(1).map(|scope| scope.first_row);
        let ends = ends.chain([self.constraints()]);
        let mut counts = BTreeMap::new();
        for (scope, end) in self.scopes.iter().zip(ends) {
            let outermost = scope.name.split('/').next().unwrap_or_default();
            *counts.entry(outermost.to_owned()).or_insert(0) += end - scope.first_row;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    #[cfg(test)]
    pub(crate) fn scope_names(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|scope| scope.name.as_str())
    }

    /// The first constraint the assignment violates.
    pub(crate) fn unsatisfied(&self, z: &Assignment) -> Option<Written> {
        let row = self.violated(z).next()?;
        self.written(row)
    }

    /// The rows of the constraints the assignment violates.
    pub(crate) fn violated(&self, z: &Assignment) -> impl Iterator<Item = usize> {
        let [a, b, c] = &self.matrices;
        let rows = a.iter().zip(b).zip(c).enumerate();
        rows.filter(move |(_, ((a, b), c))| value(a, z) * value(b, z) != value(c, z))
            .map(|(row, _)| row)
    }

    /// What [`Factors`] should hold.
    #[cfg(test)]
    pub(crate) fn factors(&self, z: &Assignment) -> (Vec<Fr>, Vec<Fr>) {
        let [a, b, _] = &self.matrices;
        let values = |rows: &Matrix<Fr>| rows.iter().map(|row| value(row, z)).collect();
        (values(a), values(b))
    }

    /// The scope a row was written in.
    pub(crate) fn scope_of(&self, row: usize) -> Option<&str> {
        let after = self.scopes.partition_point(|scope| scope.first_row <= row);
        let scope = self.scopes.get(after.checked_sub(1)?)?;
        Some(&scope.name)
    }

    /// Where a row was written.
    pub(crate) fn written(&self, row: usize) -> Option<Written> {
        let line = *self.lines.get(row)?;
        let after = self.scopes.partition_point(|scope| scope.first_row <= row);
        let scope = self.scopes.get(after.checked_sub(1)?)?;
        let elsewhere = |opened: &&Line| opened.file() != line.file();
        Some(Written {
            scope: scope.name.clone(),
            line,
            opened: scope.opened.iter().rev().find(elsewhere).copied(),
        })
    }

    /// Hash of the matrices: which circuit a key belongs to. Counts `u64`, then per matrix and row a `u64` length and
    /// `(u32 variable, 32-byte coefficient)` terms.
    pub(crate) fn hash(&self) -> Digest {
        let mut hasher = Hasher::new(Tag::R1cs);
        for count in [self.inputs, self.variables, self.constraints()] {
            hasher = hasher.part(&(count as u64).to_le_bytes());
        }
        let mut bytes = Vec::new();
        for row in self.matrices.iter().flatten() {
            bytes.clear();
            for (coefficient, variable) in row {
                bytes.extend((*variable as u32).to_le_bytes());
                bytes.extend(from_fr(coefficient).0);
            }
            hasher = hasher.part(&bytes);
        }
        hasher.finish()
    }
}

/// Replays the rows for arkworks' key generator.
impl ConstraintSynthesizer<Fr> for &Shape {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        let first_witness = self.inputs + 1;
        for _ in 0..self.inputs {
            let _ = cs.new_input_variable(|| Ok(Fr::ZERO))?;
        }
        for _ in first_witness..self.variables {
            let _ = cs.new_witness_variable(|| Ok(Fr::ZERO))?;
        }
        let variable = |i: usize| match i {
            0 => Variable::One,
            i if i < first_witness => Variable::instance(i),
            i => Variable::witness(i - first_witness),
        };
        let lc = |row: &Vec<(Fr, usize)>| {
            LinearCombination(row.iter().map(|(c, i)| (*c, variable(*i))).collect())
        };
        let [a, b, c] = &self.matrices;
        for ((a, b), c) in a.iter().zip(b).zip(c) {
            cs.enforce_r1cs_constraint(|| lc(a), || lc(b), || lc(c))?;
        }
        Ok(())
    }
}
