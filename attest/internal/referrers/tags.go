package referrers

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/testdag/testdag/attest/internal/fault"
	"github.com/testdag/testdag/attest/internal/registry"
)

// Tags of single records are found by their beginning. The list of tags is in byte order, by the specification, so a
// reader can seek: it asks for what comes behind the last name before the image's tags, and stops at the first tag
// after them. Not every registry keeps to that, or says that it gives fewer tags than it was asked for, so no answer
// is believed unseen.

// seekPage is how many tags one request of a seek asks for.
const seekPage = 100

// A sought list is what a seek has found.
type sought struct {
	tags    []string // those of the image that ours keeps
	ordered bool     // they came in order, behind the name that was given, up to the end or a tag of another name
	whole   bool     // the registry returned more than was asked for, and nothing follows: it is the list of all tags
}

// How a registry has answered a seek before in this call.
const (
	seekUntried int32 = iota
	seekWorks
	seekFails
)

// seek looks for the tags of image without reading those of others. An answer that cannot be believed, or is an error,
// is none: the caller reads the whole list. Only too many records are an error.
func (r *Records) seek(ctx context.Context, image name.Digest) (sought, error) {
	var s sought
	if r.seeks.Load() == seekFails {
		return s, nil
	}
	prefix := TagBase(image)
	for last := prefix[:len(prefix)-1]; ; {
		page, more, err := r.tagsBehind(ctx, last, seekPage)
		if err != nil {
			return sought{}, nil
		}
		s.whole = !more && len(page) > seekPage
		if !s.whole && (!ascending(last, page) || more && len(page) == 0) {
			r.seeks.Store(seekFails)
			return sought{}, nil
		}
		s.tags = append(s.tags, ours(page, image)...)
		if err := r.TooMany(len(ofRecords(slices.Clone(s.tags), image))); err != nil {
			return sought{}, err
		}
		s.ordered = !s.whole && (len(page) == 0 || beyond(page[len(page)-1], prefix))
		if s.whole || s.ordered {
			return s, nil
		}
		last = page[len(page)-1]
	}
}

// ours returns the tags of single records, and those of the index and of cosign. Other tags that begin as those of
// image do, which anybody may push, are not kept.
func ours(tags []string, image name.Digest) []string {
	var found []string
	for _, tag := range tags {
		if tag == TagBase(image) || tag == viewTag(image) || isRecordTag(tag, image) {
			found = append(found, tag)
		}
	}
	return found
}

func isRecordTag(tag string, image name.Digest) bool {
	return strings.HasPrefix(tag, viewTag(image)+".")
}

// beyond reports whether a tag comes behind all that begin with prefix, in every order that a registry may keep: some
// pass over punctuation when they sort, so the first difference must be one of letters or digits.
func beyond(tag, prefix string) bool {
	for i := range min(len(tag), len(prefix)) {
		if a, b := tag[i], prefix[i]; a != b {
			return a > b && isAlphanumeric(a) && isAlphanumeric(b)
		}
	}
	return false
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// ascending reports whether tags are in byte order, and all behind last.
func ascending(last string, tags []string) bool {
	for _, tag := range tags {
		if tag <= last {
			return false
		}
		last = tag
	}
	return true
}

// tagsBehind asks for n tags behind last, for the first if that is empty. More says that the registry links to others.
func (r *Records) tagsBehind(ctx context.Context, last string, n int) (tags []string, more bool, err error) {
	u := r.URL("tags/list")
	q := url.Values{"n": {strconv.Itoa(n)}}
	if last != "" {
		q.Set("last", last)
	}
	u.RawQuery = q.Encode()
	body, header, err := r.Do(ctx, registry.Request{Op: "list tags", URL: u, Counts: registry.WhatPage, Limit: r.Options.Limits.PageBytes})
	if err != nil {
		return nil, false, err
	}
	if tags, err = parseTags(body, r.Options.Limits); err != nil {
		return nil, false, err
	}
	next, err := registry.NextPage(u, header)
	return tags, next != nil, err
}

// readTags adds the tags of single records to l. If the seek cannot be believed it reads all tags of the repository,
// also if the other lists agree: a stale list and an old copy of the index agree, and neither has the newest record.
func (r *Records) readTags(ctx context.Context, image name.Digest, l *Listing, found sought) (err error) {
	known := l.knownTags(image)
	canSeek := found.whole || found.ordered && len(known) > 0 && containsAll(found.tags, known)
	if found.ordered && len(known) > 0 {
		r.seeks.Store(map[bool]int32{true: seekWorks, false: seekFails}[canSeek])
	}
	if found.ordered && len(known) == 0 {
		canSeek = r.seekFindsTheSecond(ctx, image, found)
	}
	if canSeek {
		l.tags, l.tagsRead = ofRecords(found.tags, image), true
		return nil
	}
	l.tags, l.tagsRead, err = r.allTags(ctx, image)
	return err
}

// knownTags returns the tags that a list of all tags must hold.
func (l Listing) knownTags(image name.Digest) []string {
	var known []string
	if l.indexed != nil {
		known = append(known, TagBase(image))
	}
	if l.View.exists() {
		known = append(known, viewTag(image))
	}
	return known
}

func containsAll(tags, known []string) bool {
	return !slices.ContainsFunc(known, func(tag string) bool { return !slices.Contains(tags, tag) })
}

// ofRecords keeps the tags of single records.
func ofRecords(tags []string, image name.Digest) []string {
	return slices.DeleteFunc(tags, func(tag string) bool { return !isRecordTag(tag, image) })
}

// seekFindsTheSecond finds out whether the registry can seek, where no tag is known that a seek must find: behind a
// name that comes right after the first of all tags, and is no tag itself, it must find the second. If one of the two
// is of image, it must be in found.
func (r *Records) seekFindsTheSecond(ctx context.Context, image name.Digest, found sought) bool {
	if r.seeks.Load() == seekWorks {
		return true
	}
	first, _, err := r.tagsBehind(ctx, "", 2)
	if err != nil || len(first) == 0 || !ascending("", first) || !containsAll(found.tags, ours(first, image)) {
		return false
	}
	next, _, err := r.tagsBehind(ctx, first[0]+"-", 1)
	if err != nil || len(next) != len(first)-1 || len(next) > 0 && next[0] != first[1] {
		return false
	}
	r.seeks.Store(seekWorks)
	return true
}

// allTags reads all tags of the repository. It asks for no number of tags, since a registry does not always say what it
// then leaves out. Nothing bounds the pages but the time of the call: a repository of many images has many tags.
func (r *Records) allTags(ctx context.Context, image name.Digest) ([]string, bool, error) {
	var found []string
	err := r.Pages(ctx, registry.Request{Op: "list tags", URL: r.URL("tags/list")}, math.MaxInt, registry.IsNotFound, func(body []byte) error {
		tags, err := parseTags(body, r.Options.Limits)
		found = append(found, ofRecords(tags, image)...)
		return errors.Join(err, r.TooMany(len(found)))
	})
	if errors.Is(err, registry.ErrNoList) {
		_, err := r.Subject(ctx, image) // a repository without tags has the image all the same
		return nil, false, err
	}
	return found, err == nil, err
}

// parseTags reads one page of tags. Some registries write null for none; what lacks the field is another document.
func parseTags(body []byte, limits registry.Limits) ([]string, error) {
	var page map[string]json.RawMessage
	if err := fault.Decode(body, &page, registry.JSON(limits)); err != nil {
		return nil, err
	}
	if page["tags"] == nil {
		return nil, &fault.FieldError{Field: "tags", Problem: "required"}
	}
	var tags []string
	return tags, json.Unmarshal(page["tags"], &tags)
}

// unlisted returns those tags of single records that are not of a manifest that is listed by its digest.
func unlisted(tags []string, listed []Pointer) []string {
	known := map[string]bool{}
	for _, p := range listed {
		if _, hex, ok := strings.Cut(p.Ref, ":"); ok && len(hex) >= shortHex {
			known[hex[:shortHex]] = true
		}
	}
	return slices.DeleteFunc(tags, func(tag string) bool {
		short, ok := shortDigest(tag)
		return ok && known[short]
	})
}
