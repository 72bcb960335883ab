//! Reads which credential a scenario is about.

use acs_common::PolicyBuilder;
use acs_common::entra::EntraOptions;

use super::super::node::Node;
use super::results::token;
use super::{Credential, Malformed};

pub(super) fn read_credential(node: Node, mut policy: PolicyBuilder) -> Result<(Credential, PolicyBuilder), Malformed> {
    let mut fields = node.fields()?;
    let fixed = fields.optional("static");
    let entra_user = fields.optional("entra");
    let initial = fields.optional("initial_token").filter(|node| !node.value.is_null());
    if let Some(on) = fields.optional("refresh_proactively") {
        policy = policy.refresh_proactively(on.boolean()?);
    }
    if let Some(lifetime) = fields.optional("opaque_token_lifetime") {
        policy = policy.opaque_token_lifetime(lifetime.lifetime()?);
    }
    fields.no_others()?;
    let credential = match (fixed, entra_user, initial) {
        (Some(node), None, None) => Credential::Static(token(node)?),
        (None, Some(node), None) => entra(node)?,
        (None, None, initial) => Credential::Refreshing { initial: initial.map(token).transpose()? },
        (Some(_), _, Some(initial)) => return Err(initial.error("a static credential has no initial token")),
        (None, Some(_), Some(initial)) => return Err(initial.error("an Entra credential has no initial token")),
        (Some(_), Some(node), None) => return Err(node.error("a static credential has no user")),
    };
    Ok((credential, policy))
}

fn entra(node: Node) -> Result<Credential, Malformed> {
    let mut fields = node.fields()?;
    let endpoint = fields.optional("endpoint").map_or(Ok(ENDPOINT.to_owned()), Node::string)?;
    let scopes = fields.optional("scopes").map(|list| list.list(Node::string)).transpose()?;
    let prewarm = fields.optional("prewarm").map_or(Ok(true), |node| node.boolean())?;
    let signed_in = fields.optional("signed_in").map(Node::string).transpose()?;
    fields.no_others()?;
    let options = EntraOptions::new(&endpoint).and_then(|options| match scopes {
        Some(scopes) => options.with_scopes(scopes),
        None => Ok(options),
    });
    Ok(Credential::Entra { options: options.map(|options| options.with_prewarm(prewarm)), signed_in })
}

const ENDPOINT: &str = "https://contoso.communication.azure.com";
