//! The recorded results of the reference package: `tests/vectors`.

use std::path::Path;

use acs_common::identifier::CommunicationIdentifier;
use serde_json::{Value, json};

/// All vectors of this name: the first ones, and those in the folder `more`.
pub fn load(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    [folder.join(name), folder.join("more").join(name)]
        .into_iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            serde_json::from_str::<Vec<Value>>(&text).unwrap()
        })
        .collect()
}

/// An identifier as the reference shows it. The reference has a raw id only for identifiers read from JSON.
pub fn shown(identifier: &CommunicationIdentifier, with_raw_id: bool) -> Value {
    let mut shown = match identifier {
        CommunicationIdentifier::CommunicationUser(user) => {
            return json!({"kind": "communicationUser", "communicationUserId": user.id()});
        }
        CommunicationIdentifier::Unknown(unknown) => return json!({"kind": "unknown", "id": unknown.raw_id()}),
        CommunicationIdentifier::PhoneNumber(number) => {
            let mut shown = json!({
                "kind": "phoneNumber",
                "phoneNumber": number.phone_number(),
                "isAnonymous": number.is_anonymous(),
            });
            if let Some(asserted_id) = number.asserted_id() {
                shown["assertedId"] = asserted_id.into();
            }
            shown
        }
        CommunicationIdentifier::MicrosoftTeamsUser(user) => {
            let mut shown = json!({
                "kind": "microsoftTeamsUser",
                "microsoftTeamsUserId": user.user_id(),
                "isAnonymous": user.is_anonymous(),
            });
            if let Some(cloud) = user.cloud() {
                shown["cloud"] = cloud.as_str().into();
            }
            shown
        }
        CommunicationIdentifier::MicrosoftTeamsApp(app) => {
            json!({"kind": "microsoftTeamsApp", "teamsAppId": app.app_id(), "cloud": app.cloud().as_str()})
        }
        CommunicationIdentifier::TeamsExtensionUser(user) => json!({
            "kind": "teamsExtensionUser",
            "userId": user.user_id(),
            "tenantId": user.tenant_id(),
            "resourceId": user.resource_id(),
            "cloud": user.cloud().as_str(),
        }),
        other => panic!("a kind the tests do not know: {other:?}"),
    };
    if with_raw_id {
        shown["rawId"] = identifier.raw_id().into();
    }
    shown
}
