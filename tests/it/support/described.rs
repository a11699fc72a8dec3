//! The description of the API, read and held against answers: those of every story, and of its own examples.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::bodies::encode;

/// The document as it is kept beside the source; a test holds it against the one that is served.
pub const KEPT: &str = "openapi/openapi.json";

/// The same, read.
pub static DESCRIBED: LazyLock<Described> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut closed = json["components"].clone();
    close(&mut closed);
    Described { json, closed, validators: Mutex::default() }
});

/// The description of the API.
pub struct Described {
    pub json: Value,
    /// Its components, with every object closed: what is not described is not there.
    closed: Value,
    /// Those that were needed, by their schemas.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The example of an operation.
pub struct Request {
    pub operation: String,
    pub method: String,
    pub template: String,
    /// With its example of an id.
    pub path: String,
    /// With its examples of parameters; empty if it has none.
    pub query: String,
    /// The text of its example, or nothing.
    pub body: String,
}

impl Described {
    /// Every operation's example.
    pub fn requests(&self) -> Vec<Request> {
        let paths = self.json["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(template, path)| {
            path.as_object().unwrap().iter().map(move |(method, operation)| request(template, method, operation))
        });
        operations.collect()
    }

    /// A text in the body of an operation's example.
    pub fn example(&self, operation: &str, pointer: &str) -> String {
        let request = self.requests().into_iter().find(|one| one.operation == operation).unwrap();
        let body: Value = serde_json::from_str(&request.body).unwrap();
        body.pointer(pointer).unwrap().as_str().unwrap().to_owned()
    }

    /// The example of an id below a path.
    pub fn id_below(&self, template: &str) -> Option<String> {
        let path = self.json["paths"].get(format!("{template}/{{id}}"))?;
        path["get"]["parameters"][0]["example"].as_str().map(str::to_owned)
    }

    /// An answer is as one of those that are described for its request: status, headers, media type, body. Nothing is
    /// said of requests that are not described.
    pub fn check(&self, method: &str, path: &str, answer: &Answer) {
        let Some(template) = self.template(path) else { return };
        let is_head = method == "HEAD";
        let method = if is_head { "get".to_owned() } else { method.to_lowercase() };
        let Some(operation) = self.json["paths"][template].get(&method) else { return };
        let what = format!("{KEPT}: {method} {template}");
        let described = &operation["responses"][answer.status.to_string()];
        assert!(described.is_object(), "{what}: {} is not described: {answer}", answer.status);
        // How it contradicts what is stored is said of each operation.
        if let (409, Some(code)) = (answer.status, answer.body["code"].as_str()) {
            let known = described["description"].as_str().unwrap();
            assert!(known.contains(&format!("`{code}`")), "{what}: {code} is not described: {answer}");
        }
        let described = self.resolved(described);
        for (name, header) in described["headers"].as_object().unwrap() {
            let may_be_missing = self.resolved(header)["required"] == false;
            let is_there = !answer.header(&name.to_lowercase()).is_empty();
            assert!(is_there || may_be_missing, "{what}: {name} is missing: {answer}");
        }
        if is_head {
            return;
        }
        let Some(contents) = described.get("content") else {
            assert_eq!(answer.text, "", "{what}: no body is described");
            return;
        };
        let media_type = answer.header("content-type");
        let content = contents.get(media_type).unwrap_or_else(|| panic!("{what}: {media_type:?} is not described"));
        let text = Value::from(answer.text.as_str());
        let body = if media_type.contains("json") { &answer.body } else { &text };
        let validator = self.validator(&content["schema"]);
        let errors: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{what}: {errors:#?}\n{answer}");
    }

    /// The template of a path.
    fn template(&self, path: &str) -> Option<&str> {
        let fits = |template: &&String| {
            let (mut own, mut sent) = (template.split('/'), path.split('/'));
            own.by_ref().zip(sent.by_ref()).all(|(own, sent)| own == sent || own == "{id}" && !sent.is_empty())
                && template.split('/').count() == path.split('/').count()
        };
        self.json["paths"].as_object().unwrap().keys().find(fits).map(String::as_str)
    }

    fn resolved<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.json.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let mut schema = schema.clone();
            close(&mut schema);
            schema["components"] = self.closed.clone();
            Arc::new(jsonschema::options().should_validate_formats(true).build(&schema).unwrap())
        };
        Arc::clone(validators.entry(schema.to_string()).or_insert_with(new))
    }
}

fn request(template: &str, method: &str, operation: &Value) -> Request {
    let (mut path, mut query) = (template.to_owned(), vec![]);
    for parameter in operation["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        let example = match parameter.get("example") {
            None => continue,
            Some(Value::Array(items)) => items[0].clone(),
            Some(example) => example.clone(),
        };
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        match parameter["in"].as_str().unwrap() {
            "path" => path = path.replace(&format!("{{{name}}}"), &example),
            _ => query.push(format!("{name}={}", encode(&example))),
        }
    }
    let body = operation.pointer("/requestBody/content/application~1json/example");
    Request {
        operation: operation["operationId"].as_str().unwrap().to_owned(),
        method: method.to_uppercase(),
        template: template.to_owned(),
        path,
        query: if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) },
        body: body.map(Value::to_string).unwrap_or_default(),
    }
}

/// Closes every object whose members are described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            if is_object(members) {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn is_object(members: &Map<String, Value>) -> bool {
    members.get("properties").is_some_and(Value::is_object) && members.get("type").is_some_and(|kind| kind == "object")
}
