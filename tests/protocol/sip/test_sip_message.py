"""SIP messages: reading, writing, and what RFC 4475 tortures parsers with (own fixtures, made from what that RFC describes)."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sinchphone.errors import LocalProtocolError, RemoteProtocolError
from sinchphone.protocol.sip.message import CSeq, MalformedRequestError, Request, Response, read_message, respond
from sinchphone.protocol.sip.uri import SipAddress, SipUri, parse_address, parse_uri
from sinchphone.protocol.sip.via import parse_via

CORE = (
    "Via: SIP/2.0/UDP c.bell-tel.com;branch=z9hG4bKkdjuw",
    "From: <sip:caller@example.net>;tag=141334",
    "To: <sip:callee@example.com>",
    "Call-ID: 9@192.0.2.1",
    "CSeq: 8 OPTIONS",
    "Max-Forwards: 70",
)


def message(*headers: str, start: str = "OPTIONS sip:callee@example.com SIP/2.0", body: bytes = b"", instead: bool = False) -> bytes:
    """A message with the usual headers, or others instead of those of the same name."""
    names = {one.split(":")[0].strip().lower() for one in headers}
    kept = () if instead else tuple(one for one in CORE if one.split(":")[0].lower() not in names)
    return "\r\n".join([start, *kept, *headers, "", ""]).encode("utf-8", "surrogateescape") + body


def request(data: bytes) -> Request:
    read = read_message(data)
    assert isinstance(read, Request)
    return read


def refusal(data: bytes) -> MalformedRequestError:
    with pytest.raises(MalformedRequestError) as refused:
        read_message(data)
    return refused.value


# RFC 4475 3.1.1: valid messages.


def test_a_short_tortuous_invite() -> None:
    lines = [
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
        "TO :",
        " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
        r'from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>',
        "  ;",
        "  tag = 98asjd8",
        "MaX-fOrWaRdS: 0068",
        "Call-ID: wsinv.ndaksdj@192.0.2.1",
        "Content-Length   : 3",
        "cseq: 0009",
        "  INVITE",
        "Via  : SIP  /   2.0",
        " /UDP",
        "    192.0.2.2;branch=390skdjuw",
        "s :",
        "NewFangledHeader:   newfangled value",
        " continued newfangled value",
        "UnknownHeaderWithUnusualValue: ;;,,;;,;",
        "Content-Type: application/sdp",
        "Route:",
        " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>",
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;",
        "  branch  =   z9hG4bK9ikj8  ,",
        " SIP  /    2.0   / UDP  192.168.255.111   ; branch=",
        " z9hG4bK30239",
        r'm:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =',
        "      newvalue ;",
        "  secondparam ; q = 0.33",
        "",
        "v=0",
    ]
    data = "\r\n".join(lines).encode()
    read = request(data)
    assert read.recipient.tag == "1918181833n"
    assert read.sender == SipAddress(SipUri("sip", "jdrosen", "example.com"), 'J Rosenberg \\"', (("tag", "98asjd8"),))
    assert read.cseq == CSeq(9, "INVITE")
    assert read.number("Max-Forwards") == 68
    assert [str(one) for one in read.vias] == [
        "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw",
        "SIP/2.0/TCP spindle.example.com;branch=z9hG4bK9ikj8",
        "SIP/2.0/UDP 192.168.255.111;branch=z9hG4bK30239",
    ]
    assert read.contacts[0].parameters == (("newparam", "newvalue"), ("secondparam", None), ("q", "0.33"))
    assert read.addresses("Route")[0].uri.is_loose
    assert read.first("NewFangledHeader") == "newfangled value continued newfangled value"


def test_a_wide_range_of_valid_characters() -> None:
    method = "!interesting-Method0123456789_*+`.%indeed'~"
    uri = "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com"
    read = request(
        message(
            'To: "BEL:\\\x07 NUL:\\\x01 DEL:\\\x7f" <sip:1_unusual.URI~(to-be!sure)&isn\'t+it$/crazy?,/;;*@example.com>',
            "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.",
            f"CSeq: 139122385 {method}",
            "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
            "extensionHeader-!.%*+_`'~:大停電",
            start=f"{method} {uri} SIP/2.0",
        )
    )
    assert read.method == method
    assert read.uri.host == "example.com"
    assert read.sender.parameter("fromparam''~+*_!.-%") == "работающий"
    assert read.sender.tag == "_token~1'+`*%!-."
    assert read.first("extensionHeader-!.%*+_`'~") == "大停電"


def test_percent_signs_that_escape() -> None:
    read = request(message(start="OPTIONS sip:sips%3Auser%40example.com@example.net SIP/2.0"))
    assert (read.uri.user, read.uri.host) == ("sips:user@example.com", "example.net")
    assert str(read.uri) == "sip:sips%3Auser%40example.com@example.net"


def test_escaped_nulls_survive() -> None:
    uri = "sip:null-%00-null@example.com"
    assert str(request(message("CSeq: 8 REGISTER", start=f"REGISTER {uri} SIP/2.0")).uri) == uri


def test_percent_signs_that_do_not_escape() -> None:
    assert request(message("CSeq: 8 RE%47IST%45R", start="RE%47IST%45R sip:registrar.example.com SIP/2.0")).method == "RE%47IST%45R"


def test_no_space_between_name_and_bracket() -> None:
    assert request(message("From: caller<sip:caller@example.com>;tag=323")).sender.name == "caller"


def test_long_values() -> None:
    user, tag, branch = "a" * 500, "t" * 600, "z9hG4bK" + "b" * 700
    read = request(
        message(
            f"From: {'I have a user name of extreme proportion ' * 8}<sip:{user}@example.net>;tag={tag}",
            f"Via: SIP/2.0/TCP sip33.example.com;branch={branch}",
        )
    )
    assert (read.sender.uri.user, read.sender.tag, read.via.branch) == (user, tag, branch)


def test_what_follows_the_body_of_a_datagram_is_cut_off() -> None:
    read = request(message("Content-Length: 2", body=b"ab\r\nINVITE sip:joe@example.com SIP/2.0\r\n"))
    assert read.body == b"ab"


def test_semicolon_parameters_in_the_user_part() -> None:
    read = request(message(start="OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0"))
    assert (read.uri.user, read.uri.host) == ("user;par=u@example.net", "example.com")


def test_varied_and_unknown_transports() -> None:
    read = request(
        message(*(f"Via: SIP/2.0/{one} t{one}.example.com;branch=z9hG4bK{one}" for one in ("UDP", "SCTP", "TLS", "UNKNOWN", "TCP")))
    )
    assert [one.transport for one in read.vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_an_unusual_reason_phrase() -> None:
    start = "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое"
    read = read_message(message(start=start))
    assert isinstance(read, Response)
    assert read.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"


@pytest.mark.parametrize("start", ["SIP/2.0 100 ", "SIP/2.0 100"])
def test_an_empty_reason_phrase(start: str) -> None:
    read = read_message(message(start=start))
    assert isinstance(read, Response)
    assert (read.status, read.reason) == (100, "")


def test_bytes_that_are_not_utf_8_come_back_as_they_were() -> None:
    data = message('From: "A \udcff\udcfe" <sip:a@example.net>;tag=1')
    read = request(data)
    assert b'"A \xff\xfe" <sip:a@example.net>;tag=1' in bytes(read)
    assert read.sender.name.isprintable()


# RFC 4475 3.1.2: invalid messages.


def test_extraneous_separators_are_refused() -> None:
    assert refusal(message("Via: SIP/2.0/UDP 192.0.2.15;;,;,,")).status == 400


def test_a_content_length_larger_than_the_message_is_refused() -> None:
    assert refusal(message("Content-Length: 9999", body=b"v=0")).status == 400


@pytest.mark.parametrize("value", ["-999", "abc", "4294967296000"])
def test_a_content_length_that_is_no_number_is_refused(value: str) -> None:
    assert refusal(message(f"Content-Length: {value}")).status == 400


@pytest.mark.parametrize(
    "header", ["CSeq: 36893488147419103232 OPTIONS", "CSeq: 4294967296 OPTIONS", "CSeq: ٣ OPTIONS", "CSeq: OPTIONS", "CSeq: 8"]
)
def test_a_cseq_that_cannot_be_is_refused(header: str) -> None:
    assert refusal(message(header)).status == 400


def test_scalars_in_a_response_that_are_too_large_drop_it() -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        read_message(message("CSeq: 9292394834772304023312 OPTIONS", start="SIP/2.0 503 Service Unavailable"))
    assert not isinstance(refused.value, MalformedRequestError)


@pytest.mark.parametrize(
    "header", ['To: "Mr. J. User <sip:j.user@example.com>', "To: <sip:j.user@example.com", "To: ", "To: sip:", "From: <>;tag=1"]
)
def test_an_address_that_has_no_end_is_refused(header: str) -> None:
    assert refusal(message(header)).status == 400


@pytest.mark.parametrize(
    "start",
    [
        "OPTIONS <sip:user@example.com> SIP/2.0",
        "OPTIONS sip:user@example.com; lr SIP/2.0",
        "OPTIONS  sip:user@example.com  SIP/2.0",
        "OPTIONS sip:remote-target@example.com SIP/2.0  ",
        "OPTIONS sip:a@[::1 SIP/2.0",
        "OPTIONS sip:a@b:99999 SIP/2.0",
        "OPTIONS sip:@b SIP/2.0",
    ],
)
def test_a_request_line_that_is_not_well_formed_is_refused(start: str) -> None:
    error = refusal(message(start=start))
    assert error.status == 400
    assert error.request is not None


def test_another_version_is_505() -> None:
    assert refusal(message(start="OPTIONS sip:t.watson@example.org SIP/7.0")).status == 505


def test_methods_that_differ_are_refused() -> None:
    assert refusal(message("CSeq: 8 INVITE")).status == 400


@pytest.mark.parametrize("status", ["4294967301", "42", "099", "700"])
def test_a_status_that_cannot_be_drops_the_response(status: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_message(message(start=f"SIP/2.0 {status} better not break the receiver"))


# RFC 4475 3.3: what the application makes of it.


@pytest.mark.parametrize("missing", range(5))
def test_a_request_without_a_required_header_is_refused(missing: int) -> None:
    headers = [one for index, one in enumerate(CORE) if index != missing]
    with pytest.raises(RemoteProtocolError):
        read_message(message(*headers, instead=True))


@pytest.mark.parametrize(
    "name", ["From: <sip:b@example.net>;tag=2", "To: <sip:x@y>", "Call-ID: other", "CSeq: 9 OPTIONS", "Max-Forwards: 5"]
)
def test_several_values_where_one_may_be_are_refused(name: str) -> None:
    assert refusal("\r\n".join(["OPTIONS sip:a@b SIP/2.0", *CORE, name, "", ""]).encode()).status == 400


def test_several_content_lengths_are_refused() -> None:
    assert (
        refusal("\r\n".join(["OPTIONS sip:a@b SIP/2.0", *CORE, "Content-Length: 13", "Content-Length: 5", "", "There's"]).encode()).status
        == 400
    )


@pytest.mark.parametrize(
    "uri", ["nobodyKnowsThisScheme:totallyopaquecontent", "soap.beep://192.0.2.103:3002", "tel:+358-555-1234567;postd=pp22"]
)
def test_unknown_schemes_are_read(uri: str) -> None:
    assert str(request(message(start=f"OPTIONS {uri} SIP/2.0")).uri) == uri.replace("KnowsThisScheme", "knowsthisscheme")


def test_a_branch_without_anything_after_the_cookie_is_read() -> None:
    assert request(message("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")).via.branch == "z9hG4bK"


def test_a_message_older_than_rfc_3261_is_read() -> None:
    read = request(message("Via: SIP/2.0/UDP iftgw.example.com", "From: <sip:+13035551111@ift.client.example.net;user=phone>"))
    assert (read.via.branch, read.sender.tag) == ("", "")


# Beyond the RFC.


def test_compact_names_and_joined_values() -> None:
    lines = ["OPTIONS sip:b@pbx1 SIP/2.0", "v: SIP/2.0/UDP pbx1;branch=z9hG4bKa, SIP/2.0/TCP b", "f: <sip:a@pbx1>;tag=1", "t: sip:b@pbx1"]
    lines += ["i: x", "CSeq: 1 OPTIONS", "m: <sip:a@b>, <sip:c@d;a=b>;q=0.1", "k: timer", "k: 100rel , x", "l: 0", "", ""]
    read = request("\r\n".join(lines).encode())
    assert len(read.vias) == 2
    assert [str(one.uri) for one in read.contacts] == ["sip:a@b", "sip:c@d;a=b"]
    assert read.tokens("Supported") == {"timer", "100rel", "x"}


def test_commas_in_names_and_uris_do_not_split() -> None:
    read = request(message('Contact: "Doe, Jane" <sip:jane@b?Subject=a,b>, <sip:x@y>'))
    assert [one.uri.user for one in read.contacts] == ["jane", "x"]


@pytest.mark.parametrize("size", [20_000, 70_000])
def test_a_message_that_is_too_long_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError):
        read_message(message("Subject: " + "a" * size))


def test_too_many_headers_are_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        read_message(message(*(f"X-{number}: 1" for number in range(300))))


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\x00b"])
def test_a_lone_line_break_or_null_in_a_header_is_refused(value: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read_message(message(f"Subject: {value}"))


def test_what_we_write_can_be_read_again() -> None:
    read = request(message("Content-Type: application/sdp", "Content-Length: 5", body=b"v=0\r\n"))
    again = request(bytes(read))
    assert again == read.with_header("Content-Length").with_header("Content-Length", "5")
    assert again.sdp == "v=0\r\n"


def test_a_header_of_ours_with_a_line_break_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError):
        bytes(request(message()).with_header("X-Evil", "a\r\nVia: b"))


def test_a_response_copies_what_it_must() -> None:
    read = request(message("Via: SIP/2.0/UDP a;branch=z9hG4bK1", "Via: SIP/2.0/UDP b", "Timestamp: 54"))
    response = respond(read, 180, tag="xyz")
    assert response.all("Via") == ["SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/UDP b"]
    assert response.recipient.tag == "xyz"
    assert (response.call_id, response.cseq, response.sender) == (read.call_id, read.cseq, read.sender)
    assert respond(read, 100, tag="xyz").recipient.tag == ""
    assert respond(read, 100).first("Timestamp") == "54"
    assert respond(request(message("To: <sip:a@b>;tag=old")), 200, tag="new").recipient.tag == "old"


def test_received_and_rport_are_filled() -> None:
    seen = parse_via("SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bK1;received=1.1.1.1").seen_from("192.0.2.7", 4711)
    assert str(seen) == "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;received=192.0.2.7;rport=4711"
    assert parse_via("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1").seen_from("192.0.2.7", 4711).parameter("rport") is None


@pytest.mark.parametrize("text", ["SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111", "SIP/2.0/UDP [2001:db8::9:1]"])
def test_ipv6_in_via(text: str) -> None:
    assert parse_via(text).host == "2001:db8::9:1"
    assert str(parse_via(text)) == text


@pytest.mark.parametrize("text", ["sip:[2001:db8::10]", "sip:[2001:db8::10]:5070", "sip:u:p@[::1]:5070;transport=tcp", "sips:a@b.c;lr?x=y"])
def test_a_uri_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_uri(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:a b@c",
        "sip:[2001:db8::10:5070",
        "sip:2001:db8::10",
        "sip:a@",
        "sip:a@b:0",
        "sip:a@b:x",
        "<sip:a@b>",
        "sip:a@-b-.",
        "x" * 3000,
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_uri(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5", True),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", False),
        ("sips:bob@biloxi.com", "sip:bob@biloxi.com", False),
    ],
)
def test_uris_are_compared_as_rfc_3261_says(one: str, other: str, same: bool) -> None:
    assert parse_uri(one).is_same_as(parse_uri(other)) is same


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("tel:+1-415-555-0101", "+14155550101"),
        ("sip:+14155550101;isub=2@b;user=phone", "+14155550101"),
        ("sip:bob@b", None),
        ("sip:100@b", None),
    ],
)
def test_numbers_in_uris(text: str, number: str | None) -> None:
    assert parse_uri(text).number == number


def test_without_brackets_parameters_belong_to_the_header() -> None:
    address = parse_address("sip:a@b;tag=1")
    assert (address.tag, address.uri.parameters) == ("1", ())
    assert parse_address("<sip:a@b;x=1>;tag=2").uri.parameters == (("x", "1"),)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        read_message(data)


@given(st.sampled_from(CORE), st.text(max_size=60), st.booleans())
def test_any_header_value_is_read_or_refused(header: str, text: str, stream: bool) -> None:
    name = header.split(":")[0]
    try:
        read = read_message(message(f"{name}: {text}"), is_stream=stream)
    except (RemoteProtocolError, UnicodeEncodeError):
        return
    assert bytes(respond(read, 200, tag="t")) if isinstance(read, Request) else True


@given(st.text(max_size=80))
@example(";")
def test_any_text_is_a_uri_an_address_a_via_or_refused(text: str) -> None:
    for parse in (parse_uri, parse_address, parse_via):
        for each in (text, "sip:" + text, "sip:a@b" + text, f"<sip:{text}>", "SIP/2.0/UDP " + text, f'"{text}" <sip:a@b>', "tel:" + text):
            try:
                read = parse(each)
            except RemoteProtocolError:
                continue
            assert parse(str(read)) is not None or True


@given(
    st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40),
    st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"]), max_size=40),
)
def test_any_user_and_name_survive_being_written(user: str, name: str) -> None:
    address = SipAddress(SipUri("sip", user, "example.com"), name.strip())
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("written", ['"A\x1fB" <sip:a@b>', '"A\\\x00B" <sip:a@b>', "A\x1fB <sip:a@b>", 'A\x07B <sip:a@b>;x="\x7f"'])
def test_control_characters_in_a_name_are_read_as_spaces_so_that_they_are_written_alike(written: str) -> None:
    """Attack: a name that does things to a terminal, or that is another one when it's passed on."""
    read = parse_address(written)
    assert (read.name, parse_address(str(read))) == ("A B", read)
