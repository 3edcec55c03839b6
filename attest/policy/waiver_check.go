package policy

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/testdag/testdag/internal/pattern"
	"github.com/testdag/testdag/internal/testname"
)

// exceptionFields are the names of fields in the other spelling of a waiver.
var exceptionFields = map[string]string{"finding": "id", "until": "expires_on", "why": "reason"}

// A waiverCheck adds the mistakes of one waiver, under the names that the file has for its fields.
type waiverCheck struct {
	Waiver
	at        string // path of the waiver
	exception bool   // it has the other spelling
	mistakes  *checklist
}

// waiver adds the mistakes of the waiver at an index, or at the place where the file has it.
func (c *checklist) waiver(i int, w Waiver) {
	at, _, _ := strings.Cut(cmp.Or(w.Place, fmt.Sprintf("waivers[%d]", i)), ",")
	check := waiverCheck{w, at, strings.HasPrefix(at, "vulnerabilities.exceptions["), c}
	check.named()
	check.images()
	check.times()
	check.reasons()
}

func (w waiverCheck) add(field, problem string, args ...any) {
	if other, ok := exceptionFields[field]; ok && w.exception {
		field = other
	}
	w.mistakes.add(w.at+"."+field, problem, args...)
}

func (w waiverCheck) named() {
	named := 0
	for _, is := range []bool{w.Task != "", w.Finding != "", w.Statement != (v1.Hash{})} {
		if is {
			named++
		}
	}
	switch {
	case w.exception && w.Finding == "":
		w.add("finding", "required: the vulnerability that is allowed")
	case named != 1:
		w.mistakes.add(w.at, "name one of task, finding and statement")
	}
	if problem := testname.Problem(w.Task); w.Task != "" && problem != "" {
		w.add("task", "no name of a task: %s", problem)
	}
	if w.Package != "" && w.Finding == "" {
		w.add("package", "of use only beside finding")
	}
	if w.Statement != (v1.Hash{}) && !isSHA256(w.Statement.String()) {
		w.add("statement", "%q is not a SHA-256 digest in lower case", w.Statement)
	}
}

func (w waiverCheck) images() {
	if len(w.Images)+len(w.Components) == 0 {
		w.add("images", `required, or components: say which images it is for, ["*"] for every image`)
	}
	for i, images := range w.Images {
		if problem := imagesProblem(images); problem != "" {
			w.add(fmt.Sprintf("images[%d]", i), "%s: %s", shown(images), problem)
		}
	}
	for i, component := range w.Components {
		if component == "" {
			w.add(fmt.Sprintf("components[%d]", i), "empty, which is the name of no component")
		}
	}
}

func (w waiverCheck) times() {
	switch {
	case w.Until.IsZero():
		w.add("until", "required: the instant from which it does not hold any more")
	case !w.From.Before(w.Until):
		w.add("until", "not later than from, so it never holds")
	}
	if !writable(w.From) {
		w.add("from", yearProblem)
	}
	if !writable(w.Until) {
		w.add("until", yearProblem)
	}
}

func (w waiverCheck) reasons() {
	if strings.TrimSpace(w.Who) == "" {
		w.add("who", "required: who answers for it")
	}
	if strings.TrimSpace(w.Why) == "" {
		w.add("why", "required: say why it is allowed")
	}
}

// isSHA256 reports whether text is a SHA-256 digest as registries spell it.
func isSHA256(text string) bool {
	h, err := v1.NewHash(text)
	return err == nil && h.Algorithm == "sha256" && text == strings.ToLower(text)
}

// imagesProblem says why one of Waiver.Images can name no image. It is empty if it can.
func imagesProblem(images string) string {
	repository, digest, pinned := strings.Cut(images, "@")
	host, path, _ := strings.Cut(repository, "/")
	switch {
	case strings.HasPrefix(images, "sha256:"):
		digest, pinned = images, true
	case images == everyImage:
		return ""
	case strings.Contains(repository, "://"):
		return "leave out the scheme"
	case path == "" || host != "localhost" && !strings.ContainsAny(host, ".:"):
		return "want a digest, or a repository that begins with its host"
	case !pattern.Anchored("oci://" + repository):
		return "has a * that is not behind the host"
	case strings.Contains(path, ":"):
		return "has a tag, which can move; name the digest"
	default:
		if _, err := name.NewRepository(strings.ReplaceAll(repository, everyImage, "x")); err != nil {
			return "no repository can have that name: " + shownError(err)
		}
	}
	if pinned && !isSHA256(digest) {
		return "the digest is not sha256: and 64 hex digits in lower case"
	}
	return ""
}
