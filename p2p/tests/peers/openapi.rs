//! The API's description of itself, held against what it really answers.

use crate::{
    api::{get, send},
    net::Net,
};
use serde_json::Value;
use std::collections::BTreeSet;
use tender_p2p::node::NodeHandle;

/// What `GET /v1/openapi.json` answers.
pub struct Described(Value);

impl Described {
    pub async fn of(node: &NodeHandle) -> Described {
        let (status, body) = send(node, "GET", "/v1/openapi.json", &[], vec![]).await;
        assert_eq!(status, 200);
        Described(serde_json::from_slice(&body).unwrap())
    }

    /// `GET /v1/…` and `POST …`, as the document has them.
    fn routes(&self) -> BTreeSet<String> {
        let paths = self.0["paths"].as_object().unwrap();
        let routes = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        });
        routes.collect()
    }

    /// Asserts that a JSON answer is what the document promises for this request.
    #[track_caller]
    pub fn promises(&self, method: &str, path: &str, status: u16, answer: &Value) {
        let path = path.split('?').next().unwrap();
        let is_meant = |template: &&String| {
            let (mut left, mut right) = (template.split('/'), path.split('/'));
            left.by_ref()
                .zip(right.by_ref())
                .all(|(t, p)| t == p || t.starts_with('{'))
                && template.matches('/').count() == path.matches('/').count()
        };
        let paths = self.0["paths"].as_object().unwrap();
        // A path without parameters goes before one with them.
        let template = paths
            .keys()
            .filter(is_meant)
            .min_by_key(|t| t.matches('{').count());
        let template = template.unwrap_or_else(|| panic!("{path} is not described"));
        let responses = &paths[template][method.to_lowercase()]["responses"];
        let response = responses
            .get(status.to_string())
            .unwrap_or(&responses["default"]);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(
            !schema.is_null(),
            "{method} {template} {status} has no schema: {responses}"
        );
        if let Err(wrong) = self.fits(schema, answer, "answer") {
            panic!("{method} {path} {status}: {wrong}\n{answer}");
        }
    }

    /// Whether a value is as a schema says, with no field that the schema does not name.
    fn fits(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{at} is {value}, {what}"));
        if let Some(name) = schema["$ref"].as_str() {
            return self.fits(self.resolve(name), value, at);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let tried: Vec<_> = choices
                .iter()
                .map(|choice| self.fits(choice, value, at))
                .collect();
            return match tried.iter().filter(|tried| tried.is_ok()).count() {
                0 => Err(format!("{at} fits no choice: {tried:?}")),
                _ => Ok(()),
            };
        }
        assert!(
            schema.get("allOf").is_none() && schema.get("anyOf").is_none(),
            "{schema}"
        );
        if schema["enum"]
            .as_array()
            .is_some_and(|known| !known.contains(value))
        {
            return wrong("not among the values named");
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_kind = match &schema["type"] {
            Value::String(one) => one == kind,
            Value::Array(some) => some.iter().any(|one| one == kind),
            other => panic!("{at}: type {other} in {schema}"),
        };
        if !is_kind {
            return wrong(&format!("not {}", schema["type"]));
        }
        match value {
            Value::String(text) if schema.get("pattern").is_some() => {
                assert_eq!(schema["pattern"], "^[0-9a-f]{64}$");
                let is_hex =
                    text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
                if is_hex {
                    Ok(())
                } else {
                    wrong("not 64 hex digits")
                }
            }
            Value::Array(items) => items.iter().enumerate().try_for_each(|(i, item)| {
                let schema = schema["prefixItems"].get(i).unwrap_or(&schema["items"]);
                self.fits(schema, item, &format!("{at}[{i}]"))
            }),
            Value::Object(fields) if schema.get("properties").is_some() => {
                for name in schema["required"].as_array().into_iter().flatten() {
                    if !fields.contains_key(name.as_str().unwrap()) {
                        return Err(format!("{at} lacks {name}"));
                    }
                }
                fields.iter().try_for_each(|(name, value)| {
                    let schema = schema["properties"].get(name);
                    let schema = schema.ok_or_else(|| format!("{at}.{name} is not described"))?;
                    self.fits(schema, value, &format!("{at}.{name}"))
                })
            }
            _ => Ok(()),
        }
    }

    fn resolve(&self, name: &str) -> &Value {
        let pointer = name.strip_prefix('#').unwrap();
        let found = self.0.pointer(pointer);
        found.unwrap_or_else(|| panic!("{name} leads nowhere"))
    }
}

fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// `GET /v1/…` and `POST …` of the table at the top of the module's source.
fn table() -> BTreeSet<String> {
    let source = include_str!("../../src/api/mod.rs");
    let rows = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_is_described_and_answers() {
    let net = Net::start("described", 1).await;
    let node = &net.nodes[0];
    let described = Described::of(node).await;
    assert!(described.0["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(
        described.routes(),
        table(),
        "the document, and the table in src/api/mod.rs"
    );

    let mut found = BTreeSet::new();
    references(&described.0, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for name in found {
        described.resolve(name);
    }
    let schemas = described.0["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        assert!(schema.get("description").is_some(), "{name} says nothing");
    }
    for route in described.routes() {
        let (method, template) = route.split_once(' ').unwrap();
        let operation = &described.0["paths"][template][method.to_lowercase()];
        assert!(operation.get("summary").is_some(), "{route}");
        assert_eq!(
            operation["responses"]["default"]["content"]["application/json"]["schema"]["$ref"],
            "#/components/schemas/ApiError"
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.values().all(|it| it["description"].is_string()),
            "{route}"
        );
        let named: BTreeSet<_> = template
            .split('/')
            .filter_map(|p| p.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let told: BTreeSet<_> = parameters
            .filter(|p| p["in"] == "path")
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(named, told, "{route}");
        if template == "/v1/events" {
            continue; // never ends
        }
        let path = template
            .replace("{height}", "77777")
            .replace("{id}", &"0".repeat(64))
            .replace("{hash}", &"0".repeat(64))
            .replace("{key}", &"0".repeat(64))
            .replace("{leaf}", &"0".repeat(64));
        let method: &'static str = if method == "GET" { "GET" } else { "POST" };
        let (status, body) = send(node, method, &path, &[], vec![]).await;
        let text = String::from_utf8_lossy(&body);
        assert!(
            status != 405 && !text.contains("there is nothing at"),
            "{route}: {status} {text}"
        );
        if status >= 400 {
            described.promises(
                method,
                &path,
                status,
                &serde_json::from_slice(&body).unwrap(),
            );
        }
    }
    // What is not in the document is not there.
    for path in ["/v1", "/v1/", "/v1/bids", "/openapi.json", "/v1/admin"] {
        let (status, _) = send(node, "GET", path, &[], vec![]).await;
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }
    get::<Value>(node, "/v1/status").await;
}
