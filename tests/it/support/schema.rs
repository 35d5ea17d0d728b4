//! Validates audit records against `deploy/audit.schema.json`, as far as it uses JSON Schema; a keyword that is not known
//! here fails the test, so that nothing in it goes unchecked.

use serde_json::Value;

/// Fails on a record that is not of the schema.
pub(crate) fn check(record: &Value) {
    let schema = serde_json::from_str(include_str!("../../../deploy/audit.schema.json")).unwrap();
    if let Err(fault) = validate(record, &schema) {
        panic!("{fault}: {record}");
    }
}

fn validate(value: &Value, schema: &Value) -> Result<(), String> {
    for (keyword, expect) in schema.as_object().expect("a schema") {
        let valid = match keyword.as_str() {
            "$schema" | "$id" | "title" | "description" => true,
            "type" => match expect.as_str().expect("one type") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "number" => value.is_number(),
                "integer" => value.is_u64() || value.is_i64(),
                other => panic!("the type {other:?}"),
            },
            "const" => value == expect,
            "enum" => expect.as_array().expect("values").contains(value),
            "minimum" => value.as_f64() >= expect.as_f64(),
            "maximum" => value.as_f64() <= expect.as_f64(),
            "required" => {
                let mut names = expect.as_array().expect("names").iter();
                names.all(|name| value.get(name.as_str().expect("a name")).is_some())
            }
            "additionalProperties" => {
                assert_eq!(expect, false);
                let known = schema["properties"].as_object().expect("properties");
                value.as_object().is_none_or(|object| object.keys().all(|name| known.contains_key(name)))
            }
            "properties" => {
                for (name, schema) in expect.as_object().expect("properties") {
                    if let Some(value) = value.get(name) {
                        validate(value, schema).map_err(|fault| format!("{name}: {fault}"))?;
                    }
                }
                true
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    validate(item, expect)?;
                }
                true
            }
            other => panic!("the keyword {other:?}"),
        };
        if !valid {
            return Err(format!("not valid by {keyword}: {expect}"));
        }
    }
    Ok(())
}
