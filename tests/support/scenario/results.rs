//! Reads tokens, and what refreshers, sources and services answer.

use serde_json::Value;

use super::super::node::{Fields, Node};
use super::{
    Answer, ExchangeAnswer, Exchanged, Failed, Given, Issuer, Malformed, Outage, Outcome, SourceAnswer, TokenSpec,
};

pub(super) fn source_answer(node: Node) -> Result<SourceAnswer, Malformed> {
    let whole = node.error("expected either an error, or blank: true, or neither");
    let mut fields = node.fields()?;
    let after = fields.required("after")?.millis()?;
    let blank = fields.optional("blank").map_or(Ok(false), |node| node.boolean())?;
    let failed = failed(&mut fields)?;
    fields.no_others()?;
    let given = match (blank, failed) {
        (false, None) => Given::WhoIsSignedIn,
        (true, None) => Given::Blank,
        (false, Some(failed)) => Given::Error(failed),
        (true, Some(_)) => return Err(whole),
    };
    Ok(SourceAnswer { after, given })
}

pub(super) fn exchange_answer(node: Node) -> Result<ExchangeAnswer, Malformed> {
    let whole = node.error("expected one of token, status (with a body or not), unreachable");
    let mut fields = node.fields()?;
    let after = fields.required("after")?.millis()?;
    let token = fields.optional("token").map(token).transpose()?;
    let status = fields.optional("status").map(Node::status).transpose()?;
    let headers = fields.optional("headers").map_or(Ok(Vec::new()), headers)?;
    let body = fields.optional("body").map(|node| match node.value {
        Value::String(text) => text,
        other => other.to_string(),
    });
    let unreachable = fields.optional("unreachable").map(Node::string).transpose()?;
    fields.no_others()?;
    let exchanged = match (token, status, body, unreachable) {
        (Some(token), None, None, None) => Exchanged::Token(token),
        (None, Some(status), body, None) => Exchanged::Response { status, body: body.unwrap_or_default() },
        (None, None, None, Some(what)) => Exchanged::Unreachable(what),
        _ => return Err(whole),
    };
    Ok(ExchangeAnswer { after, headers, exchanged })
}

fn headers(node: Node) -> Result<Vec<(String, String)>, Malformed> {
    node.fields()?.rest().map(|(name, node)| Ok((name, node.string()?))).collect()
}

/// The details of a failure, if there is one.
fn failed(fields: &mut Fields) -> Result<Option<Failed>, Malformed> {
    let message = fields.optional("error");
    let permanent = fields.optional("permanent");
    let retry_after = fields.optional("retry_after");
    let Some(message) = message else {
        return permanent.or(retry_after).map_or(Ok(None), |node| Err(node.error("only an error has it")));
    };
    Ok(Some(Failed {
        message: message.string()?,
        permanent: permanent.map_or(Ok(false), |node| node.boolean())?,
        retry_after: retry_after.map(Node::duration).transpose()?,
    }))
}

pub(super) fn token(node: Node) -> Result<TokenSpec, Malformed> {
    let whole = node.error("expected one of exp (with or without iat), expires_in, expires_on, opaque: true, raw");
    let mut fields = node.fields()?;
    let exp = fields.optional("exp").map(|node| node.seconds()).transpose()?;
    let iat = fields.optional("iat").map(|node| node.seconds()).transpose()?;
    let expires_in = fields.optional("expires_in").map(|node| node.seconds()).transpose()?;
    let expires_on = fields.optional("expires_on").map(|node| node.seconds()).transpose()?;
    let opaque = fields.optional("opaque").map(|node| node.boolean()).transpose()?;
    let raw = fields.optional("raw").map(|node| node.string()).transpose()?;
    fields.no_others()?;
    match (exp, iat, expires_in, expires_on, opaque, raw) {
        (Some(exp), iat, None, None, None, None) => Ok(TokenSpec::Jwt { exp, iat }),
        (None, None, Some(secs), None, None, None) if secs.as_millis() >= 0 => Ok(TokenSpec::ExpiresIn(secs)),
        (None, None, None, Some(secs), None, None) => Ok(TokenSpec::ExpiresOn(secs)),
        (None, None, None, None, Some(true), None) => Ok(TokenSpec::Opaque),
        (None, None, None, None, None, Some(raw)) => Ok(TokenSpec::Raw(raw)),
        _ => Err(whole),
    }
}

pub(super) fn answer(node: Node) -> Result<Option<Answer>, Malformed> {
    let whole = node.error("expected either a token or an error");
    results(node.fields()?, whole)
}

fn results(mut fields: Fields, whole: Malformed) -> Result<Option<Answer>, Malformed> {
    if fields.optional("hangs").map_or(Ok(false), |node| node.boolean())? {
        fields.no_others()?;
        return Ok(None);
    }
    let after = fields.required("after")?.millis()?;
    let token_spec = fields.optional("token").map(token).transpose()?;
    let failed = failed(&mut fields)?;
    fields.no_others()?;
    let outcome = match (token_spec, failed) {
        (Some(token), None) => Outcome::Token(token),
        (None, Some(failed)) => Outcome::Error(failed),
        _ => return Err(whole),
    };
    Ok(Some(Answer { after, outcome }))
}

pub(super) fn issuer(node: Node) -> Result<Issuer, Malformed> {
    let mut fields = node.fields()?;
    let after = fields.required("after")?.millis()?;
    let outcome = Outcome::Token(fields.required("token").and_then(token)?);
    let outages = fields.optional("outages").map_or(Ok(Vec::new()), |list| list.list(outage))?;
    fields.no_others()?;
    Ok(Issuer { usual: Answer { after, outcome }, outages })
}

fn outage(node: Node) -> Result<Outage, Malformed> {
    let whole = node.error("expected either an error, or hangs: true");
    let mut fields = node.fields()?;
    let from = fields.required("from")?.millis()?;
    let until = fields.required("until")?.millis()?;
    let answer = results(fields, whole)?;
    Ok(Outage { from, until, answer })
}
