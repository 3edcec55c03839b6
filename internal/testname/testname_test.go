package testname

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

const form = "; names are printable text in NFC"

func TestProblem(t *testing.T) {
	for name, want := range map[string]string{
		"scan": "", "unit test": "", "café": "", "проверка": "", "スキャン": "", "한글": "", "🚀": "", "a\u0332": "", "pkg:github/a/b@v1?x=1#y": "",
		strings.Repeat("x", Max): "",

		"":                                 "required",
		"sc\u034fan":                       `"sc\u034fan": U+034F at byte 2 is invisible` + form,
		"scan\u3164":                       `"scan\u3164": U+3164 at byte 4 is invisible` + form,
		"scan\uffa0":                       `"scan\uffa0": U+FFA0 at byte 4 is invisible` + form,
		"scan\u115f":                       `"scan\u115f": U+115F at byte 4 is invisible` + form,
		"scan\ufe0f":                       `"scan\ufe0f": U+FE0F at byte 4 is invisible` + form,
		"scan\U000e0100":                   `"scan\U000e0100": U+E0100 at byte 4 is invisible` + form,
		"scan\u180b":                       `"scan\u180b": U+180B at byte 4 is invisible` + form,
		"scan\u17b4":                       `"scan\u17b4": U+17B4 at byte 4 is invisible` + form,
		"scan\u2800":                       `"scan\u2800": U+2800 at byte 4 is invisible` + form,
		"sc\u200dan\u200b":                 `"sc\u200dan\u200b": U+200D at byte 2 is invisible, U+200B at byte 7 is invisible` + form,
		"\ufeffscan":                       `"\ufeffscan": U+FEFF at byte 0 is invisible` + form,
		"scan\u00ad":                       `"scan\u00ad": U+00AD at byte 4 is invisible` + form,
		"cafe\u0301":                       `"cafe\u0301": U+0301 at byte 4 is not in NFC` + form,
		"\u212b":                           `"\u212b": U+212B at byte 0 is not in NFC` + form,
		"q\u0308\u0323":                    `"q\u0308\u0323": U+0308 at byte 1 is not in NFC` + form,
		"scan ":                            `"scan ": U+0020 at byte 4 is a blank around the name` + form,
		" scan":                            `" scan": U+0020 at byte 0 is a blank around the name` + form,
		" ":                                `" ": U+0020 at byte 0 is a blank around the name` + form,
		"sc\u00a0an":                       `"sc\u00a0an": U+00A0 at byte 2 is a blank other than U+0020` + form,
		"scan\u2028":                       `"scan\u2028": U+2028 at byte 4 is a blank other than U+0020` + form,
		"sc\tan":                           `"sc\tan": U+0009 at byte 2 is a control character` + form,
		"scan\x00":                         `"scan\x00": U+0000 at byte 4 is a control character` + form,
		"scan\ue000":                       `"scan\ue000": U+E000 at byte 4 is of private use` + form,
		"scan\u0378":                       `"scan\u0378": U+0378 at byte 4 is not assigned` + form,
		"scan\uffff":                       `"scan\uffff": U+FFFF at byte 4 is not assigned` + form,
		"sc\xffan":                         `"sc\xffan": U+FFFD at byte 2 is not UTF-8, or stands for what was not` + form,
		"sc\ufffdan":                       `"sc\ufffdan": U+FFFD at byte 2 is not UTF-8, or stands for what was not` + form,
		strings.Repeat("x", Max+1):         `"` + strings.Repeat("x", 40) + `": 513 bytes are over the limit of 512` + form,
		strings.Repeat("\u200b", 9):        `"` + strings.Repeat(`\u200b`, 9) + `": U+200B at byte 0 is invisible, U+200B at byte 3 is invisible, U+200B at byte 6 is invisible, U+200B at byte 9 is invisible, U+200B at byte 12 is invisible` + form,
		"a" + strings.Repeat("\u0332", 40): `"a` + strings.Repeat(`\u0332`, 39) + `": U+0332 at byte 61 is not in NFC` + form,
	} {
		if got := Problem(name); got != want {
			t.Errorf("%+q: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// Names that are refused count for the test that they look like.
func TestFold(t *testing.T) {
	for _, name := range []string{
		"scan", "SCAN", "sc\u034fan", "scan\u3164", "scan\ufe0f", "scan\uffa0", "scan\U000e0100", "\u2066scan\u2069", "scan\u2800", "s c a n", "\u00a0scan",
		"ｓｃａｎ", "ｓ\u200dＣＡＮ", "\U0001d42c\U0001d41c\U0001d41a\U0001d427", "ſcan", "scan\xff", "scan\ue000", "scan\x00",
	} {
		if got := Fold(name); got != "scan" {
			t.Errorf("%+q looks like %+q", name, got)
		}
	}
	for a, b := range map[string]string{"cafe\u0301": "café", "cafe\u034f\u0301": "CAFÉ", "straße": "STRASSE", "unit\u00a0test": "unit test", "ﬁle": "file"} {
		if Fold(a) != Fold(b) {
			t.Errorf("%+q looks like %+q, and %+q like %+q", a, Fold(a), b, Fold(b))
		}
	}
	for _, nothing := range []string{"", " ", "\u200b", "\u3164\ufe0f", "\xff"} {
		if got := Fold(nothing); got != "" {
			t.Errorf("%+q looks like %+q", nothing, got)
		}
	}
	if Fold("scans") == Fold("scan") || Fold("s\u0441an") == Fold("scan") {
		t.Error("other letters look the same")
	}
}

// A name that is too long costs no more than its length, and is still told from others.
func TestLongNames(t *testing.T) {
	letters := strings.Repeat("\u0441", 4<<20)
	if got := Fold(letters); len(got) == 0 || len(got) > 2*maxFolded {
		t.Errorf("folded to %d bytes", len(got))
	}
	if got := Fold("scan" + strings.Repeat("\u200b", 1<<20)); got != "scan" {
		t.Errorf("looks like %.40q", got)
	}
	if got := Fold(strings.Repeat("\u200b", 1<<20) + "scan"); got != "scan" {
		t.Errorf("looks like %.40q", got)
	}
	for _, name := range []string{"\u0441" + strings.Repeat("x", Max-2), "\u0441" + strings.Repeat("x", Max-1)} {
		same, latin := len(name) <= Max, "c"+name[2:]
		if (Foreign(name) != "") != same || Alike(name, latin) != same || Alike(latin, name) != same {
			t.Errorf("%d bytes: %q, %t", len(name), Foreign(name), Alike(name, latin))
		}
	}
	if got := Problem(strings.Repeat("x", Max) + "\u200b"); !strings.Contains(got, "bytes are over") || strings.Contains(got, "U+200B") {
		t.Errorf("got %s", got)
	}
	// ligatures are what grows most when it is folded, and is as long as a name may be
	ligatures := strings.Repeat("\ufdfa", Max/3)
	if Problem(ligatures) != "" || len(Fold(ligatures)) >= maxFolded/4 || Fold(Fold(ligatures)) != Fold(ligatures) {
		t.Errorf("%q, folded to %d bytes", Problem(ligatures), len(Fold(ligatures)))
	}
}

// letters are what names are drawn from: those that break a rule among others.
var letters = rapid.SampledFrom([]rune("scan SCANé\u0301\u0323\u034f\u200d\u3164\ufe0f\u00a0\t\ue000ſｓßİ\u0345Ⅷ각\u1100\u1161\u11a8а\ufffd"))

func TestNamesHaveOneSpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := string(rapid.SliceOf(letters).Draw(t, "name"))
		if again := Fold(Fold(name)); again != Fold(name) {
			t.Errorf("%+q is folded to %+q, and that to %+q", name, Fold(name), again)
		}
		if Problem(name) != "" {
			return
		}
		at := rapid.IntRange(0, len(name)).Draw(t, "at")
		for at < len(name) && !utf8.RuneStart(name[at]) {
			at++
		}
		for _, other := range []string{name[:at] + "\u200d" + name[at:], name[:at] + "\u034f" + name[at:], name + " ", "\u00a0" + name} {
			if Problem(other) == "" || Fold(other) != Fold(name) {
				t.Errorf("%+q is %q, and looks like %+q instead of %+q", other, Problem(other), Fold(other), Fold(name))
			}
		}
		if other := norm.NFD.String(name); other != name && (Problem(other) == "" || Fold(other) != Fold(name)) {
			t.Errorf("%+q, decomposed, is %q", other, Problem(other))
		}
	})
}

func TestAlike(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"scan", "s\u0441an", true}, {"s\u0441an", "\u0455can", true}, {"café", "c\u0430fé", true}, {"caf\u00e8", "caf\u0450", true},
		{"no", "\u03b7o", true}, {"no", "n\u0585", true}, {"scan", "s\u0441\u200dan", true},
		{"scan", "scan", false}, {"s\u0441an", "s\u0441an", false}, {"scan", "Scan", false}, {"scan", "s\u0421an", false}, {"scan", "scans", false},
		{"scan", "ｓcan", false}, {"scan", "sc\u200dan", false}, {"", "\u0441", false},
	} {
		if Alike(tt.a, tt.b) != tt.want || Alike(tt.b, tt.a) != tt.want {
			t.Errorf("%+q and %+q: want %t", tt.a, tt.b, tt.want)
		}
	}
	if got := Foreign("s\u0441an\u0450"); got != "U+0441 at byte 1, U+0450 at byte 5" {
		t.Errorf("got %s", got)
	}
	for from, to := range latin {
		if norm.NFD.String(string(from)) != string(from) || to >= utf8.RuneSelf || from < utf8.RuneSelf {
			t.Errorf("%U to %U", from, to)
		}
	}
}
