//! What to exchange at, and for what: taken, or refused with what is wrong.

use acs_common::entra::{EntraOptions, EntraOptionsError as Wrong};

const CLIENTS: &str = "https://communication.azure.com/clients/";
const COM: &str = "https://auth.msft.communication.azure.com/";
const US: &str = "https://auth.msft.communication.azure.us/";

/// Fails when `check_endpoint` does not trim slashes, takes no port or path, or compares schemes with regard to case.
#[test]
fn an_endpoint_is_taken_as_it_is_but_for_slashes_at_its_end() {
    for (given, kept) in [
        ("https://contoso.communication.azure.com", "https://contoso.communication.azure.com"),
        ("https://contoso.communication.azure.com/", "https://contoso.communication.azure.com"),
        ("https://contoso.communication.azure.com//", "https://contoso.communication.azure.com"),
        ("https://contoso.communication.azure.com:443/", "https://contoso.communication.azure.com:443"),
        ("https://h:1", "https://h:1"),
        ("https://h:65535", "https://h:65535"),
        ("https://gateway/acs/v1", "https://gateway/acs/v1"),
        ("https://gateway/acs//v1//", "https://gateway/acs//v1"),
        ("https://gateway/a%20b", "https://gateway/a%20b"),
        ("https://gateway/acs;v=1/accesskey=x", "https://gateway/acs;v=1/accesskey=x"),
        ("HTTPS://Contoso.Communication.Azure.COM", "HTTPS://Contoso.Communication.Azure.COM"),
        ("https://[2001:db8::1]:8443/x/", "https://[2001:db8::1]:8443/x"),
        ("https://192.0.2.1", "https://192.0.2.1"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://localhost", "http://localhost"),
        ("http://LocalHost:8080/", "http://LocalHost:8080"),
        ("HTTP://127.0.0.1:1", "HTTP://127.0.0.1:1"),
        ("http://127.255.255.254", "http://127.255.255.254"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::ffff:127.0.0.1]:8080", "http://[::ffff:127.0.0.1]:8080"),
        ("http://localhost.:8080", "http://localhost.:8080"),
        (" https://h", "https://h"),
        ("https://h/ ", "https://h"),
        ("https://h\r\n", "https://h"),
        ("\thttps://h/\r", "https://h"),
    ] {
        assert_eq!(
            EntraOptions::new(given).map(|options| options.endpoint().to_owned()),
            Ok(kept.to_owned()),
            "{given}"
        );
    }
}

/// Fails when any check of `check_endpoint` is left out, or when port 0 is taken for one.
#[test]
fn an_endpoint_that_is_none_is_refused_with_what_is_wrong() {
    let table: [(&str, Wrong, &str); 49] = [
        ("", Wrong::EndpointUnreadable, "not a valid URL"),
        (" ", Wrong::EndpointUnreadable, "not a valid URL"),
        ("contoso.communication.azure.com", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https:// h", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h /", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h h", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://bücher.example", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h/ü", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://[::1", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://[1::2::3]", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h\\x", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h:x", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h:-1", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h/%zz", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://h/%4", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://1.2.3", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://256.1.1.1", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://[v1.localhost]", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https://%68", Wrong::EndpointUnreadable, "not a valid URL"),
        ("https:", Wrong::EndpointWithoutHost, "has no host"),
        ("https://", Wrong::EndpointWithoutHost, "has no host"),
        ("https:///path", Wrong::EndpointWithoutHost, "has no host"),
        ("https://:443", Wrong::EndpointWithoutHost, "has no host"),
        ("https:contoso", Wrong::EndpointWithoutHost, "has no host"),
        ("localhost:8080", Wrong::EndpointWithoutHost, "has no host"),
        ("http://contoso.communication.azure.com", Wrong::EndpointNotHttps, "https"),
        ("http://localhost.example.com", Wrong::EndpointNotHttps, "https"),
        ("http://128.0.0.1", Wrong::EndpointNotHttps, "https"),
        ("http://[v1.localhost]", Wrong::EndpointNotHttps, "https"),
        ("http://[::2]", Wrong::EndpointNotHttps, "https"),
        ("http://[::ffff:128.0.0.1]", Wrong::EndpointNotHttps, "https"),
        ("http://localhost..", Wrong::EndpointNotHttps, "https"),
        ("ftp://localhost", Wrong::EndpointNotHttps, "https"),
        ("wss://contoso", Wrong::EndpointNotHttps, "https"),
        ("https://hunter2@h", Wrong::EndpointWithUserInfo, "user name or a password"),
        ("https://me:hunter2@h", Wrong::EndpointWithUserInfo, "user name or a password"),
        ("https://@h", Wrong::EndpointWithUserInfo, "user name or a password"),
        ("https://h?x=hunter2", Wrong::EndpointWithQuery, "query"),
        ("https://h/?", Wrong::EndpointWithQuery, "query"),
        ("https://h/#hunter2", Wrong::EndpointWithQuery, "fragment"),
        ("https://h#", Wrong::EndpointWithQuery, "fragment"),
        ("https://h/;accesskey=hunter2", Wrong::EndpointIsConnectionString, "connection string"),
        ("https://h;AccessKey=hunter2", Wrong::EndpointIsConnectionString, "connection string"),
        ("endpoint=https://h/;accesskey=hunter2", Wrong::EndpointIsConnectionString, "connection string"),
        ("h;ACCESSKEY=", Wrong::EndpointIsConnectionString, "connection string"),
        ("accesskey=hunter2;endpoint=https://h/", Wrong::EndpointIsConnectionString, "connection string"),
        ("https://h:0", Wrong::EndpointPort, "port"),
        ("https://h:65536", Wrong::EndpointPort, "port"),
        ("https://h:", Wrong::EndpointPort, "port"),
    ];
    for (given, wrong, says) in table {
        let error = EntraOptions::new(given).expect_err(given);
        assert_eq!(error, wrong, "{given}");
        assert!(error.to_string().contains(says), "{given}: {error}");
    }
}

/// Fails when an error quotes the endpoint.
#[test]
fn what_is_refused_of_an_endpoint_is_not_echoed() {
    for given in [
        "https://me:hunter2@contoso",
        "http://me:hunter2@contoso",
        "https://me:hunter2@contoso:0",
        "https://me:hunter2@contoso/?key=hunter2#hunter2",
        "https://me:hunter2@",
        "https://me:hunter2@ contoso",
        "https://contoso/;accesskey=hunter2",
        "endpoint=https://contoso/;AccessKey=hunter2",
    ] {
        let error = EntraOptions::new(given).expect_err(given);
        assert!(!format!("{error}{error:?}").contains("hunter2"), "{given}: {error}");
    }
}

/// Fails when `family` compares hosts with regard to case, or the two Teams clouds are taken for two families.
#[test]
fn scopes_of_one_family_are_taken_and_asked_for_as_they_were_given() {
    for (scopes, path) in [
        (vec![format!("{CLIENTS}.default")], "/access/entra/"),
        (vec![format!("{CLIENTS}VoIP"), format!("{CLIENTS}Chat")], "/access/entra/"),
        (vec!["HTTPS://Communication.Azure.com/clients/VoIP".to_owned()], "/access/entra/"),
        (vec![format!("{COM}TeamsExtension.ManageCalls")], "/access/teamsExtension/"),
        (vec![format!("{US}TeamsExtension.ManageCalls")], "/access/teamsExtension/"),
        (vec![format!("{COM}a"), format!("{US}b")], "/access/teamsExtension/"),
        (vec![COM.to_uppercase() + "x"], "/access/teamsExtension/"),
        (vec![format!("{COM}ü")], "/access/teamsExtension/"),
    ] {
        let options = super::support::rig::contoso().with_scopes(scopes.clone()).unwrap();
        assert_eq!(options.scopes(), scopes);
        let mut rig = super::support::rig::Rig::of_entra_user(options, super::exact());
        rig.sign_in("entra");
        assert!(rig.sent.unwrap().1.url().contains(path), "{scopes:?}");
    }
    assert_eq!(super::support::rig::contoso().scopes(), [format!("{CLIENTS}.default")]);
}

/// Fails when a scope is checked by its start alone, or the first one only.
#[test]
fn scopes_of_no_family_or_of_two_are_refused_by_name() {
    let unknown = [
        "",
        " ",
        "VoIP",
        CLIENTS,
        COM,
        US,
        "https://communication.azure.com/Clients/VoIP",
        "https://communication.azure.com/clientsVoIP",
        "https://communication.azure.com/.default",
        "https://communication.azure.us/clients/VoIP",
        "http://communication.azure.com/clients/VoIP",
        "https://communication.azure.com.example.com/clients/VoIP",
        "https://auth.msft.communication.azure.com",
        "https://auth.msft.communication.azure.com.example/x",
        "https://user@auth.msft.communication.azure.com/x",
        "https://auth.msft.communication.azure.com:443/x",
        "https://communication.azure.com/clients/Vo IP",
        "https://communication.azure.com/clients/VoIP ",
        " https://communication.azure.com/clients/VoIP",
        "https://communication.azure.com/clients/VoIP\n",
        "https://communication.azure.com/clients/VoIP\u{a0}",
        "https://communication.azure.çom/clients/VoIP",
    ];
    for scope in unknown {
        let good = format!("{CLIENTS}VoIP");
        for scopes in [vec![scope], vec![&good, scope], vec![scope, &good]] {
            match super::support::rig::contoso().with_scopes(scopes) {
                Err(Wrong::UnknownScope { scope: named, .. }) => assert_eq!(named, scope),
                other => panic!("{scope:?}: {other:?}"),
            }
        }
        let said = super::support::rig::contoso().with_scopes([scope]).unwrap_err().to_string();
        assert!(said.contains(&format!("{scope:?}")), "{said}");
    }
    for (one, other) in [(CLIENTS, COM), (COM, CLIENTS), (US, CLIENTS)] {
        let scopes = [format!("{one}x"), format!("{one}y"), format!("{other}z")];
        match super::support::rig::contoso().with_scopes(scopes.clone()) {
            Err(Wrong::MixedScopes { scope, .. }) => assert_eq!(scope, scopes[2]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(super::support::rig::contoso().with_scopes(Vec::<String>::new()), Err(Wrong::NoScopes));
}

/// Fails when the options borrow what they were made of, and when they lose a setting at the next one.
#[test]
fn options_keep_what_they_were_given_whatever_becomes_of_it() {
    let mut scopes = vec![format!("{CLIENTS}VoIP")];
    let options = super::support::rig::contoso().with_prewarm(false).with_scopes(scopes.clone()).unwrap();
    scopes[0] = "https://example.com/x".to_owned();
    assert_eq!(options.scopes(), [format!("{CLIENTS}VoIP")]);
    let rig = super::support::rig::Rig::of_entra_user(options, super::exact());
    assert!(rig.asked.is_none(), "not pre-warmed");
}
