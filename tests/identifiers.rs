//! Identifiers agree with the reference, and reading and writing loses nothing.
//!
//! This file is long because it has tables for each kind, and the properties of all kinds.

#[path = "support/vectors.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod vectors;

use std::collections::{BTreeSet, HashMap, HashSet};

use acs_common::identifier::{
    Cloud, CommunicationIdentifier, CommunicationUserIdentifier, IdentifierError, MicrosoftTeamsAppIdentifier,
    MicrosoftTeamsUserIdentifier, PhoneNumberIdentifier, TeamsExtensionUserIdentifier,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use vectors::shown;

fn read(raw_id: &str) -> CommunicationIdentifier {
    CommunicationIdentifier::from_raw_id(raw_id)
}

fn parse(wire: &Value) -> Result<CommunicationIdentifier, serde_json::Error> {
    serde_json::from_str(&wire.to_string())
}

/// Fails when `user` forgets a prefix, when `extension_user` takes four parts, or when `Serialize` leaves out a
/// property.
#[test]
fn a_raw_id_is_read_as_the_reference_reads_it() {
    let vectors = vectors::load("identifiers.json");
    assert!(vectors.len() > 250, "the vectors are lost");
    for vector in vectors {
        let identifier = read(vector["raw_id"].as_str().unwrap());
        assert_eq!(shown(&identifier, false), vector["identifier"], "{vector}");
        assert_eq!(identifier.kind(), vector["identifier"]["kind"], "{vector}");
        assert_eq!(identifier.raw_id(), vector["raw_id_again"], "{vector}");
        // Compared as text: the order of the properties is the same as in the reference.
        assert_eq!(serde_json::to_string(&identifier).unwrap(), vector["serialized"].to_string(), "{vector}");
    }
}

/// Rewrites JSON that only this crate accepts into JSON that the reference accepts: kinds and clouds in the right case,
/// and with the defaults of `isAnonymous` and `cloud`.
fn spelt_out(wire: &Value) -> Value {
    const KINDS: [&str; 5] =
        ["communicationUser", "phoneNumber", "microsoftTeamsUser", "microsoftTeamsApp", "teamsExtensionUser"];
    let mut wire = wire.clone();
    let respell = |value: &mut Value, names: &[&str]| {
        let known = value.as_str().and_then(|text| names.iter().find(|name| name.eq_ignore_ascii_case(text)));
        if let Some(known) = known {
            *value = json!(known);
        }
    };
    if let Some(kind) = wire.get_mut("kind") {
        respell(kind, &KINDS);
    }
    for name in ["microsoftTeamsUser", "microsoftTeamsApp", "teamsExtensionUser"] {
        let Some(Value::Object(model)) = wire.get_mut(name) else { continue };
        respell(model.entry("cloud").or_insert(json!("public")), &["public", "dod", "gcch"]);
        if name == "microsoftTeamsUser" {
            model.entry("isAnonymous").or_insert(json!(false));
        }
    }
    wire
}

/// The recorded results of the reference are reproduced, with two exceptions: JSON without a property that has a
/// default, and JSON with a kind or a cloud in another case. Such JSON is read as if it were spelt out.
///
/// Fails when a second model is accepted, when `kind` is ignored, when the raw id is derived although it is present,
/// when the case matters, or when a default changes.
#[test]
fn json_is_read_as_the_reference_reads_it() {
    let vectors = vectors::load("deserialized.json");
    let mut read_otherwise = 0;
    for vector in &vectors {
        let wire = &vector["serialized"];
        let got = parse(wire);
        // The same code with another input: values in memory instead of text.
        let from_value = serde_json::from_value::<CommunicationIdentifier>(wire.clone());
        assert_eq!(from_value.ok().map(|got| shown(&got, true)), got.as_ref().ok().map(|got| shown(got, true)));
        let recorded = vector.get("identifier").cloned();
        let as_recorded = got.as_ref().ok().map(|got| shown(got, true)) == recorded;
        if !as_recorded {
            let spelt_out = spelt_out(wire);
            assert_ne!(spelt_out, *wire, "{vector} gave {got:?}");
            let expected = parse(&spelt_out).ok().map(|read| shown(&read, true));
            assert_eq!(got.ok().map(|read| shown(&read, true)), expected, "{vector}");
            read_otherwise += 1;
        } else if let (Ok(got), Some(again)) = (got, vector.get("serialized_again")) {
            assert_eq!(serde_json::to_value(&got).unwrap(), *again, "{vector}");
        }
    }
    assert_eq!((vectors.len(), read_otherwise), (270, 20));
}

/// Fails when a null model counts as a second one, or when a null property, or a missing one with a default, is
/// refused.
#[test]
fn null_and_missing_read_as_the_default() {
    let nulls = json!({
        "kind": null, "rawId": "8:acs:x", "communicationUser": {"id": "8:acs:x"}, "phoneNumber": null,
        "microsoftTeamsUser": null, "microsoftTeamsApp": null, "teamsExtensionUser": null,
    });
    let user = parse(&nulls).unwrap();
    assert_eq!((user.kind(), user.raw_id()), ("communicationUser", "8:acs:x"));
    let user = json!({"userId": "u"});
    let extension = json!({"userId": "u", "tenantId": "t", "resourceId": "r"});
    for (name, model, raw_id, missing) in [
        ("phoneNumber", json!({"value": "+1"}), "4:+1", vec!["isAnonymous", "assertedId"]),
        ("microsoftTeamsUser", user, "8:orgid:u", vec!["isAnonymous", "cloud"]),
        ("microsoftTeamsApp", json!({"appId": "a"}), "28:orgid:a", vec!["cloud"]),
        ("teamsExtensionUser", extension, "8:acs:r_t_u", vec!["cloud"]),
    ] {
        let mut null = model.clone();
        for property in missing {
            null[property] = Value::Null;
        }
        for model in [model, null] {
            for stated in [json!(raw_id), Value::Null] {
                let got =
                    parse(&json!({"rawId": stated, name: model})).unwrap_or_else(|error| panic!("{model}: {error}"));
                // The raw id of the defaults: not anonymous, and in the public cloud.
                assert_eq!(shown(&got, true), shown(&read(raw_id), true), "{model}");
                assert_eq!(got.kind(), name);
            }
        }
    }
    // A visitor is in the public cloud too, if the JSON does not name another one.
    let visitor = parse(&json!({"rawId": null, "microsoftTeamsUser": {"userId": "u", "isAnonymous": true}})).unwrap();
    assert_eq!(shown(&visitor, true)["cloud"], "public");
    assert_eq!(visitor.raw_id(), "8:teamsvisitor:u");
    // The last of duplicates counts, even if it is null.
    let duplicates = r#"{"rawId":"x","phoneNumber":{"value":"+1"},"phoneNumber":null}"#;
    assert_eq!(serde_json::from_str::<CommunicationIdentifier>(duplicates).unwrap().kind(), "unknown");
}

/// Fails when the comparison of `kind` or of a cloud depends on case.
#[test]
fn kinds_and_clouds_are_compared_without_regard_to_case() {
    for kind in ["microsoftTeamsApp", "MicrosoftTeamsApp", "MICROSOFTTEAMSAPP", "microsoftteamsapp"] {
        for (name, cloud) in [
            ("public", Cloud::Public),
            ("Public", Cloud::Public),
            ("DOD", Cloud::Dod),
            ("Dod", Cloud::Dod),
            ("GCCH", Cloud::Gcch),
            ("Gcch", Cloud::Gcch),
        ] {
            let wire = json!({"kind": kind, "rawId": null, "microsoftTeamsApp": {"appId": "a", "cloud": name}});
            let CommunicationIdentifier::MicrosoftTeamsApp(app) = parse(&wire).unwrap() else { panic!("{wire}") };
            assert_eq!(*app.cloud(), cloud, "{wire}");
            assert_eq!(app, MicrosoftTeamsAppIdentifier::new("a", cloud).unwrap());
        }
    }
    let moon = |name: &str| {
        let wire = json!({"rawId": "x", "microsoftTeamsApp": {"appId": "a", "cloud": name}});
        let CommunicationIdentifier::MicrosoftTeamsApp(app) = parse(&wire).unwrap() else { panic!("{wire}") };
        app.cloud().clone()
    };
    assert_eq!(moon("Moon"), moon("mOON"));
    assert_eq!(HashSet::from([moon("Moon"), moon("mOON")]).len(), 1);
    assert_ne!(moon("moon"), moon("mars"));
    assert_eq!(moon("Moon").as_str(), "Moon", "kept as it was written");
    let unknown = parse(&json!({"kind": "phone", "rawId": "4:+1", "phoneNumber": {"value": "+1"}})).unwrap();
    assert_eq!(unknown.kind(), "unknown");
}

/// Fails when a constructor changes a part that it must not change, or accepts an empty text.
#[test]
fn what_is_stated_is_kept() {
    let again = |made: CommunicationIdentifier| {
        let read = parse(&serde_json::to_value(&made).unwrap()).unwrap();
        assert_eq!(shown(&read, true), stated(&made));
        shown(&made, true)
    };
    let user = CommunicationUserIdentifier::new("8:acs:x").unwrap();
    assert_eq!(again(user.clone().into()), shown(&read("8:acs:x"), true));
    assert_eq!(CommunicationIdentifier::from(user), read("8:acs:x"));

    let number = || PhoneNumberIdentifier::new("+1_2");
    let phone = |raw_id: &str, anonymous: bool, asserted: &str| json!({"kind": "phoneNumber", "phoneNumber": "+1_2", "isAnonymous": anonymous, "assertedId": asserted, "rawId": raw_id});
    assert_eq!(again(number().into()), phone("4:+1_2", false, "2"));
    assert_eq!(again(number().with_anonymous(true).into()), phone("4:+1_2", true, "2"));
    assert_eq!(again(number().with_asserted_id("3").unwrap().into()), phone("4:+1_2", false, "3"));
    assert_eq!(again(number().with_raw_id("4:x").unwrap().into()), phone("4:x", false, "2"));
    assert!(!PhoneNumberIdentifier::new("anonymous").with_anonymous(false).is_anonymous());

    let teams = MicrosoftTeamsUserIdentifier::new("u", Cloud::Dod).unwrap().with_raw_id("y").unwrap();
    let expected = json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "u", "isAnonymous": false, "cloud": "dod", "rawId": "y"});
    assert_eq!(again(teams.into()), expected);
    let app = MicrosoftTeamsAppIdentifier::new("a", Cloud::Dod).unwrap().with_raw_id("y").unwrap();
    assert_eq!(
        again(app.into()),
        json!({"kind": "microsoftTeamsApp", "teamsAppId": "a", "cloud": "dod", "rawId": "y"})
    );
    let extension = TeamsExtensionUserIdentifier::new("r", "t", "u", Cloud::Dod).unwrap().with_raw_id("y").unwrap();
    let expected = json!({"kind": "teamsExtensionUser", "resourceId": "r", "tenantId": "t", "userId": "u", "cloud": "dod", "rawId": "y"});
    assert_eq!(again(extension.into()), expected);

    let empty = |refused: IdentifierError, name: &str| {
        assert!(matches!(refused, IdentifierError::Empty { part, .. } if part == name), "{refused}");
        let text = format!("the {name} is empty: pass the one that the service or Entra gave");
        assert_eq!(refused.to_string(), text);
    };
    empty(CommunicationUserIdentifier::new("").unwrap_err(), "user id");
    empty(number().with_asserted_id("").unwrap_err(), "asserted id");
    empty(number().with_raw_id("").unwrap_err(), "raw id");
    empty(MicrosoftTeamsAppIdentifier::new("a", Cloud::Dod).unwrap().with_raw_id("").unwrap_err(), "raw id");
    empty(MicrosoftTeamsUserIdentifier::visitor("u").unwrap().with_raw_id("").unwrap_err(), "raw id");
    let extension = TeamsExtensionUserIdentifier::new("r", "t", "u", Cloud::Dod).unwrap();
    empty(extension.with_raw_id("").unwrap_err(), "raw id");
}

/// Fails when `user` or `app` misses a prefix, or compares it without regard to case.
#[test]
fn each_prefix_means_its_kind_and_cloud() {
    let cases = [
        (
            "8:acs:r_t_u",
            json!({"kind": "teamsExtensionUser", "resourceId": "r", "tenantId": "t", "userId": "u", "cloud": "public"}),
        ),
        (
            "8:dod-acs:r_t_u",
            json!({"kind": "teamsExtensionUser", "resourceId": "r", "tenantId": "t", "userId": "u", "cloud": "dod"}),
        ),
        (
            "8:gcch-acs:r_t_u",
            json!({"kind": "teamsExtensionUser", "resourceId": "r", "tenantId": "t", "userId": "u", "cloud": "gcch"}),
        ),
        (
            "8:acs:__",
            json!({"kind": "teamsExtensionUser", "resourceId": "", "tenantId": "", "userId": "", "cloud": "public"}),
        ),
        ("8:acs:r_u", json!({"kind": "communicationUser", "communicationUserId": "8:acs:r_u"})),
        ("8:dod-acs:r_u", json!({"kind": "communicationUser", "communicationUserId": "8:dod-acs:r_u"})),
        ("8:gcch-acs:a_b_c_d", json!({"kind": "communicationUser", "communicationUserId": "8:gcch-acs:a_b_c_d"})),
        ("8:acs:", json!({"kind": "communicationUser", "communicationUserId": "8:acs:"})),
        ("8:spool:a_b_c", json!({"kind": "communicationUser", "communicationUserId": "8:spool:a_b_c"})),
        (
            "8:orgid:u",
            json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "u", "isAnonymous": false, "cloud": "public"}),
        ),
        (
            "8:orgid:",
            json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "", "isAnonymous": false, "cloud": "public"}),
        ),
        (
            "8:dod:u",
            json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "u", "isAnonymous": false, "cloud": "dod"}),
        ),
        (
            "8:gcch:u",
            json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "u", "isAnonymous": false, "cloud": "gcch"}),
        ),
        ("8:teamsvisitor:u", json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "u", "isAnonymous": true})),
        ("4:+1", json!({"kind": "phoneNumber", "phoneNumber": "+1", "isAnonymous": false})),
        ("4:anonymous", json!({"kind": "phoneNumber", "phoneNumber": "anonymous", "isAnonymous": true})),
        ("4:Anonymous", json!({"kind": "phoneNumber", "phoneNumber": "Anonymous", "isAnonymous": false})),
        ("4:+1_2_3", json!({"kind": "phoneNumber", "phoneNumber": "+1_2_3", "isAnonymous": false, "assertedId": "3"})),
        ("4:_123", json!({"kind": "phoneNumber", "phoneNumber": "_123", "isAnonymous": false, "assertedId": "123"})),
        ("4:a_", json!({"kind": "phoneNumber", "phoneNumber": "a_", "isAnonymous": false})),
        ("4:a_b_", json!({"kind": "phoneNumber", "phoneNumber": "a_b_", "isAnonymous": false})),
        ("4:8:orgid:u", json!({"kind": "phoneNumber", "phoneNumber": "8:orgid:u", "isAnonymous": false})),
        ("28:orgid:a", json!({"kind": "microsoftTeamsApp", "teamsAppId": "a", "cloud": "public"})),
        ("28:dod:a", json!({"kind": "microsoftTeamsApp", "teamsAppId": "a", "cloud": "dod"})),
        ("28:gcch:a", json!({"kind": "microsoftTeamsApp", "teamsAppId": "a", "cloud": "gcch"})),
    ];
    for (raw_id, expected) in cases {
        assert_eq!(shown(&read(raw_id), false), expected, "{raw_id}");
    }
    for raw_id in [
        "",
        ":",
        "::",
        ":::",
        "4",
        "8",
        "8:",
        "8:acs",
        "8:acs::1",
        "8:acs:a:b",
        "8:orgid:u:",
        "8:ORGID:u",
        "8:Acs:x",
        "8:teamsVisitor:u",
        " 8:acs:x",
        "08:acs:x",
        "10:acs:x",
        "28:",
        "28:a",
        "28:gcch:x:y",
        "28:ag08-global:01234567",
        "28:gcch-global:01234567",
        "28:acs:x",
        "28:teamsvisitor:x",
        "8:28:x",
        "48:45ab2481",
        "8:unknown:x",
    ] {
        assert_eq!(shown(&read(raw_id), false), json!({"kind": "unknown", "id": raw_id}));
    }
}

/// Fails when an error of `Reader` or of the count of models does not name its subject, or names a wrong one.
#[test]
fn what_is_missing_is_named_with_the_kind_it_belongs_to() {
    let user = json!({"userId": "u", "isAnonymous": false, "cloud": "dod"});
    let extension = json!({"userId": "u", "tenantId": "t", "resourceId": "r", "cloud": "dod"});
    let without = |model: &Value, property: &str| {
        let mut model = model.clone();
        model.as_object_mut().unwrap().remove(property).unwrap();
        model
    };
    let cases = [
        ("id", "communicationUser", json!({"rawId": "x", "communicationUser": {}})),
        ("id", "communicationUser", json!({"rawId": "x", "communicationUser": {"id": null}})),
        ("id", "communicationUser", json!({"rawId": "x", "communicationUser": []})),
        ("value", "phoneNumber", json!({"rawId": "x", "phoneNumber": {"isAnonymous": true}})),
        ("rawId", "phoneNumber", json!({"phoneNumber": {"value": "+1"}})),
        ("userId", "microsoftTeamsUser", json!({"rawId": "x", "microsoftTeamsUser": without(&user, "userId")})),
        ("rawId", "microsoftTeamsUser", json!({"microsoftTeamsUser": user})),
        ("appId", "microsoftTeamsApp", json!({"rawId": "x", "microsoftTeamsApp": {"cloud": "dod"}})),
        ("rawId", "microsoftTeamsApp", json!({"microsoftTeamsApp": {"appId": "a", "cloud": "dod"}})),
        ("userId", "teamsExtensionUser", json!({"rawId": "x", "teamsExtensionUser": without(&extension, "userId")})),
        (
            "tenantId",
            "teamsExtensionUser",
            json!({"rawId": "x", "teamsExtensionUser": without(&extension, "tenantId")}),
        ),
        (
            "resourceId",
            "teamsExtensionUser",
            json!({"rawId": "x", "teamsExtensionUser": without(&extension, "resourceId")}),
        ),
        ("rawId", "teamsExtensionUser", json!({"teamsExtensionUser": extension})),
        ("rawId", "unknown", json!({})),
        ("rawId", "unknown", json!({"rawId": null})),
        ("rawId", "unknown", json!({"kind": "phoneNumber"})),
        ("rawId", "unknown", json!({"rawId": null, "phoneNumber": null})),
        ("value", "phoneNumber", json!({"rawId": "x", "phoneNumber": {"value": null}})),
    ];
    for (property, kind, wire) in cases {
        let error = parse(&wire).unwrap_err().to_string();
        let expected = format!("the property `{property}` of `{kind}` is missing or null, but it is required");
        assert!(error.starts_with(&expected), "{wire}: {error}");
    }
    for (expected, wire) in [
        ("the property `value` of `phoneNumber` is not a string", json!({"rawId": "x", "phoneNumber": {"value": 5}})),
        (
            "the property `isAnonymous` of `phoneNumber` is not a boolean",
            json!({"rawId": "x", "phoneNumber": {"value": "1", "isAnonymous": "yes"}}),
        ),
        (
            "the property `assertedId` of `phoneNumber` is not a string",
            json!({"rawId": "x", "phoneNumber": {"value": "1", "assertedId": 1}}),
        ),
        ("the property `rawId` of `unknown` is not a string", json!({"rawId": {"id": "x"}})),
        ("communicationUser is not a JSON object", json!({"rawId": "x", "communicationUser": "8:acs:x"})),
        ("the identifier is not a JSON object", json!("8:acs:x")),
        (
            "`communicationUser` and `phoneNumber` are both present",
            json!({"rawId": "x", "phoneNumber": {"value": "1"}, "communicationUser": {"id": "x"}}),
        ),
    ] {
        let error = parse(&wire).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{wire}: {error}");
    }
}

/// Fails when a null raw id is not derived from the parts, or not from an unknown cloud.
#[test]
fn a_raw_id_of_null_follows_from_the_parts() {
    let parsed = |wire: Value| shown(&parse(&wire).unwrap(), true);
    assert_eq!(
        parsed(json!({"rawId": null, "microsoftTeamsUser": {"userId": "u", "isAnonymous": true, "cloud": "dod"}})),
        json!({"kind": "microsoftTeamsUser", "microsoftTeamsUserId": "u", "rawId": "8:teamsvisitor:u", "isAnonymous": true, "cloud": "dod"}),
    );
    assert_eq!(
        parsed(json!({"rawId": null, "microsoftTeamsApp": {"appId": "a", "cloud": "moon"}})),
        json!({"kind": "microsoftTeamsApp", "teamsAppId": "a", "rawId": "28:orgid:a", "cloud": "moon"}),
    );
    assert_eq!(parsed(json!({"rawId": "x", "phoneNumber": null})), json!({"kind": "unknown", "id": "x"}));
}

/// Fails when `Object::get` takes the first of duplicates, or when unknown names are kept.
#[test]
fn duplicates_and_other_names_in_json_are_taken_as_json_parse_takes_them() {
    let text = r#"{"rawId":"x","rawId":"4:+2","phoneNumber":{"value":"+1","value":"+2"},"ext":{"rawId":[{}]}}"#;
    let number: CommunicationIdentifier = serde_json::from_str(text).unwrap();
    assert_eq!(
        serde_json::to_string(&number).unwrap(),
        r#"{"rawId":"4:+2","phoneNumber":{"value":"+2","isAnonymous":false}}"#
    );
    let deep = format!(r#"{{"rawId":"x","extra":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    assert_eq!(serde_json::from_str::<CommunicationIdentifier>(&deep).unwrap().raw_id(), "x");
}

/// Fails when a number is not true or false as in JavaScript, for each of the three kinds of number.
#[test]
fn a_model_of_zero_counts_as_absent_and_another_number_is_refused() {
    for zero in [json!(0), json!(0.0), json!(-0.0)] {
        let read = parse(&json!({"rawId": "x", "phoneNumber": zero})).unwrap();
        assert!(matches!(read, CommunicationIdentifier::Unknown(_)), "{read:?}");
    }
    for number in [json!(1), json!(-1), json!(0.5)] {
        let error = parse(&json!({"rawId": "x", "phoneNumber": number})).unwrap_err().to_string();
        assert!(error.starts_with("phoneNumber is not a JSON object"), "{error}");
    }
}

/// Fails when `from_name` reads the name of a known cloud as an unknown cloud.
#[test]
fn a_clouds_name_in_json_is_the_cloud_of_that_name() {
    for cloud in [Cloud::Public, Cloud::Dod, Cloud::Gcch] {
        let app = json!({"rawId": "x", "microsoftTeamsApp": {"appId": "a", "cloud": cloud.as_str()}});
        let CommunicationIdentifier::MicrosoftTeamsApp(app) = parse(&app).unwrap() else { panic!("this is an app") };
        assert_eq!(*app.cloud(), cloud);
    }
}

/// Fails when `bare` forgets a separator or accepts an empty part, or `known` accepts an unknown cloud.
#[test]
fn parts_that_would_not_read_back_are_refused() {
    let moon = parse(&json!({"rawId": "x", "microsoftTeamsApp": {"appId": "a", "cloud": "moon"}})).unwrap();
    let CommunicationIdentifier::MicrosoftTeamsApp(moon) = moon else { panic!("{moon:?}") };
    let moon = moon.cloud().clone();
    assert_eq!((moon.as_str(), moon.to_string()), ("moon", "moon".to_owned()));
    let user = |id: &str| MicrosoftTeamsUserIdentifier::new(id, Cloud::Public).unwrap_err();
    assert!(matches!(user(""), IdentifierError::Empty { part: "user id", .. }));
    assert!(matches!(user("8:orgid:u"), IdentifierError::Separator { part: "user id", separator: ':', .. }));
    assert!(matches!(MicrosoftTeamsUserIdentifier::visitor("a:b"), Err(IdentifierError::Separator { .. })));
    assert!(matches!(MicrosoftTeamsUserIdentifier::visitor(""), Err(IdentifierError::Empty { .. })));
    assert!(matches!(
        MicrosoftTeamsAppIdentifier::new("28:orgid:a", Cloud::Dod),
        Err(IdentifierError::Separator { part: "app id", .. }),
    ));
    let extension = |[resource, tenant, user]: [&str; 3], cloud: &Cloud| {
        TeamsExtensionUserIdentifier::new(resource, tenant, user, cloud.clone()).map(|_| ())
    };
    assert_eq!(extension(["x", "y", "z"], &Cloud::Dod), Ok(()));
    for (index, part) in ["resource id", "tenant id", "user id"].into_iter().enumerate() {
        for (bad, separator) in [("a_b", '_'), ("a:b", ':')] {
            let mut parts = ["x", "y", "z"];
            parts[index] = bad;
            let refused = extension(parts, &Cloud::Public).unwrap_err();
            assert!(
                matches!(refused, IdentifierError::Separator { part: p, separator: s, .. } if p == part && s == separator),
                "{refused:?}",
            );
        }
    }
    assert_eq!(extension(["x", "y", "z"], &moon), Err(IdentifierError::UnknownCloud));
    assert_eq!(MicrosoftTeamsUserIdentifier::new("u", moon.clone()).unwrap_err(), IdentifierError::UnknownCloud);
    assert_eq!(MicrosoftTeamsAppIdentifier::new("u", moon).unwrap_err(), IdentifierError::UnknownCloud);
}

/// Fails when equality compares the parts, or when `Hash` is not the hash of the raw id.
#[test]
fn identifiers_of_the_same_participant_are_one_key() {
    let stated = json!({"rawId": "8:teamsvisitor:u", "microsoftTeamsUser": {"userId": "u", "isAnonymous": true, "cloud": "dod"}});
    let (stated, plain) = (parse(&stated).unwrap(), read("8:teamsvisitor:u"));
    assert_ne!(shown(&stated, false), shown(&plain, false));
    assert_eq!(stated, plain);
    assert_eq!(HashSet::from([stated.clone(), plain.clone()]).len(), 1);
    let calls = HashMap::from([(stated, 1)]);
    assert_eq!((calls.get(&plain), calls.get("8:teamsvisitor:u")), (Some(&1), Some(&1)));
    let sorted: Vec<String> =
        BTreeSet::from([read("b"), read("4:x"), read("8:acs:y")]).iter().map(ToString::to_string).collect();
    assert_eq!(sorted, ["4:x", "8:acs:y", "b"]);
    assert_ne!(read("8:orgid:u"), read("8:dod:u"));
}

fn raw_ids() -> impl Strategy<Value = String> {
    let prefix = prop::sample::select(vec![
        "4:",
        "8:acs:",
        "8:dod-acs:",
        "8:gcch-acs:",
        "8:spool:",
        "8:orgid:",
        "8:dod:",
        "8:gcch:",
        "8:teamsvisitor:",
        "28:orgid:",
        "28:dod:",
        "28:gcch:",
        "28:",
        "48:",
        "8:",
        "",
    ]);
    let rest = prop::collection::vec(
        prop::sample::select(vec!["_", ":", "a", "+1", "anonymous", "é", "\u{0}", "45ab2481-1c1c", " "]),
        0..7,
    );
    prop_oneof![(prefix, rest).prop_map(|(prefix, rest)| prefix.to_owned() + &rest.concat()), any::<String>()]
}

/// JSON similar to that of identifiers: mostly right, with some parts missing, of a wrong type, or extra.
fn wires() -> impl Strategy<Value = Value> {
    let strange = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        (-1.5..1.5).prop_map(Value::from),
        raw_ids().prop_map(Value::from),
        Just(json!([null, {"id": [1]}])),
    ];
    let or_strange = |usual: BoxedStrategy<Value>| prop_oneof![19 => usual, 1 => strange.clone()];
    let text = or_strange(raw_ids().prop_map(Value::from).boxed());
    let flag = or_strange(any::<bool>().prop_map(Value::from).boxed());
    let cloud =
        or_strange(prop::sample::select(vec!["public", "dod", "gcch", "GCCH", "moon"]).prop_map(Value::from).boxed());
    let properties = [
        ("id", &text),
        ("value", &text),
        ("isAnonymous", &flag),
        ("assertedId", &text),
        ("userId", &text),
        ("appId", &text),
        ("tenantId", &text),
        ("resourceId", &text),
        ("cloud", &cloud),
    ]
    .map(|(name, value)| prop::option::weighted(0.95, value.clone().prop_map(move |value| (name, value))).boxed());
    let object = |properties: Vec<Option<(&'static str, Value)>>| {
        Value::Object(properties.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let models = ["communicationUser", "phoneNumber", "microsoftTeamsUser", "microsoftTeamsApp", "teamsExtensionUser"];
    let model = (prop::sample::select(models.to_vec()), properties.to_vec().prop_map(object));
    let raw_id = prop::option::weighted(0.95, (Just("rawId"), text));
    let kind = prop::option::weighted(
        0.2,
        (
            Just("kind"),
            prop::sample::select(
                [models, ["CommunicationUser", "PHONENUMBER", "microsoftTeamsUser", "kind", ""]].concat(),
            )
            .prop_map(Value::from),
        ),
    );
    let another = prop::option::weighted(0.1, (prop::sample::select(vec!["phoneNumber", "kind", "extra"]), strange));
    (raw_id, prop::option::weighted(0.95, model), kind, another)
        .prop_map(move |(raw_id, model, kind, another)| object(vec![raw_id, model, kind, another]))
}

/// The identifier after reading its JSON, which states a Teams user's cloud even if it was not set.
fn stated(identifier: &CommunicationIdentifier) -> Value {
    let mut stated = shown(identifier, true);
    if stated["kind"] == "microsoftTeamsUser" && stated["cloud"].is_null() {
        stated["cloud"] = "public".into();
    }
    stated
}

proptest! {
    /// Fails when `of` of any kind builds the raw id in another way than `read` parses it.
    #[test]
    fn no_letter_of_a_raw_id_is_lost(raw_id in raw_ids()) {
        let identifier = read(&raw_id);
        prop_assert_eq!(identifier.raw_id(), &raw_id);
        prop_assert_eq!(identifier.to_string(), &*raw_id);
        let parsed: CommunicationIdentifier = raw_id.parse().unwrap();
        prop_assert_eq!(shown(&parsed, true), shown(&identifier, true));
        let again = parse(&serde_json::to_value(&identifier).unwrap()).unwrap();
        prop_assert_eq!(again.raw_id(), &raw_id);
        prop_assert_eq!(shown(&again, true), stated(&identifier));
    }

    /// Fails when `model` writes a wrong property, or writes every cloud as the public one.
    #[test]
    fn json_that_was_read_once_is_stable(wire in wires()) {
        let Ok(first) = parse(&wire) else { return Ok(()) };
        let written = serde_json::to_value(&first).unwrap();
        let second = parse(&written).unwrap();
        prop_assert_eq!(serde_json::to_value(&second).unwrap(), written);
        prop_assert_eq!(shown(&second, true), stated(&first));
    }

    /// Fails when a constructor accepts a part that its raw id does not read back.
    #[test]
    fn what_is_made_of_parts_reads_back_as_the_same(parts in prop::array::uniform3("[a:_é]{0,3}"), cloud in 0..3) {
        let cloud = [Cloud::Public, Cloud::Dod, Cloud::Gcch][cloud as usize].clone();
        let [a, b, c] = &parts;
        let made: [Option<CommunicationIdentifier>; 6] = [
            Some(PhoneNumberIdentifier::new(a).into()),
            CommunicationUserIdentifier::new(&format!("8:spool:{}", a.replace(':', ""))).ok().map(Into::into),
            MicrosoftTeamsUserIdentifier::new(a, cloud.clone()).ok().map(Into::into),
            MicrosoftTeamsUserIdentifier::visitor(a).ok().map(Into::into),
            MicrosoftTeamsAppIdentifier::new(a, cloud.clone()).ok().map(Into::into),
            TeamsExtensionUserIdentifier::new(a, b, c, cloud).ok().map(Into::into),
        ];
        for made in made.into_iter().flatten() {
            prop_assert_eq!(shown(&read(made.raw_id()), true), shown(&made, true));
        }
    }

    /// Fails when null differs from absent anywhere except in the raw id, or when the case of a kind or a cloud, or a
    /// written default, changes the result.
    #[test]
    fn null_is_absent_and_spelling_changes_nothing(wire in wires()) {
        let shown = |wire: &Value| parse(wire).ok().map(|read| shown(&read, true));
        prop_assert_eq!(shown(&spelt_out(&wire)), shown(&wire));
        let mut without = wire.clone();
        let properties = without.as_object_mut().unwrap();
        properties.retain(|name, value| name == "rawId" || !value.is_null());
        for value in properties.values_mut().filter_map(Value::as_object_mut) {
            value.retain(|_, value| !value.is_null());
        }
        prop_assert_eq!(shown(&without), shown(&wire));
    }

    /// Fails when a visitor assumes that numbers are integers or that lists are empty.
    #[test]
    fn no_text_given_for_json_panics(text in any::<String>(), wire in wires(), cut in any::<prop::sample::Index>()) {
        let wire = wire.to_string();
        let cut = (0..=cut.index(wire.len() + 1)).rev().find(|at| wire.is_char_boundary(*at)).unwrap();
        for text in [&*text, &wire[..cut]] {
            let _ = serde_json::from_str::<CommunicationIdentifier>(text);
        }
    }
}
