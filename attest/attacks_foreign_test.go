package attest

import (
	"fmt"
	"strings"

	"github.com/testdag/testdag/attest/intoto"
)

// twoFaced makes an attack of a failure that one reader could take for a statement of another kind. The key spdx names that
// kind.
func twoFaced(name, media string, body func(w *world, failed, spdx string) string, answer string) attack {
	return attack{name: "a failure with " + name, answer: answer, do: func(w *world, ours, _ *key) {
		passedBefore(w, ours)
		failed := w.statementOf(intoto.TestResultType, `{"result":"FAILED","configuration":[{"name":"scan"}],"timestamp":"2026-03-01T12:00:00Z"}`)
		w.attachAs(media, []byte(body(w, string(failed), fmt.Sprintf(`"predicateType":%q`, spdxType))))
	}}
}

// foreignAttacks hide a failure behind the predicate type of an SBOM, or hide the evidence behind its size.
var foreignAttacks = []attack{
	twoFaced("two predicate types, that of an SBOM first", intoto.PayloadType, func(_ *world, failed, spdx string) string {
		return strings.Replace(failed, "{", "{"+spdx+",", 1)
	}, `key "predicateType" in $: given twice`),
	twoFaced("two predicate types, that of an SBOM last", intoto.PayloadType, func(_ *world, failed, spdx string) string {
		return strings.TrimSuffix(failed, "}") + "," + spdx + "}"
	}, `key "predicateType" in $: given twice`),
	twoFaced("a predicate type in another case", intoto.PayloadType, func(_ *world, failed, spdx string) string {
		return strings.Replace(failed, "{", "{"+strings.Replace(spdx, "T", "t", 1)+",", 1)
	}, `"predicatetype" in $: differs from "predicateType" in case only`),
	twoFaced("an SBOM before it", intoto.PayloadType, func(w *world, failed, _ string) string {
		return string(w.statementOf(spdxType, "{}")) + failed
	}, "more than one JSON value"),
	twoFaced("two payloads in its envelope", intoto.EnvelopeType, func(w *world, failed, _ string) string {
		other := string(envelopeOf(w.statementOf(spdxType, "{}")))
		return strings.TrimSuffix(other, "}") + strings.Replace(string(envelopeOf([]byte(failed))), "{", ",", 1)
	}, "given twice"),
	twoFaced("two envelopes in its bundle", intoto.BundleType, func(w *world, failed, _ string) string {
		return fmt.Sprintf(`{"dsseEnvelope":%s,"dsseEnvelope":%s}`, envelopeOf(w.statementOf(spdxType, "{}")), envelopeOf([]byte(failed)))
	}, `key "dsseEnvelope" in $: given twice`),
	twoFaced("more bytes than evidence may have", intoto.PayloadType, func(_ *world, failed, _ string) string {
		return strings.TrimSuffix(failed, "}") + strings.Repeat(" ", 17*mib) + "}"
	}, "envelope bytes: 17826"),
	{
		name: "an SBOM with more bytes and values than evidence may have",
		do: func(w *world, ours, _ *key) {
			w.write(ours, "scan", outcome(intoto.Failed, 0))
			w.attachAs(intoto.PayloadType, w.statementOf(spdxType, "["+strings.Repeat("0,\n", 6*mib)+"0]"))
		},
		answer: "FAILED at 2026-03-01T12:00:00Z by predicate",
	},
}
