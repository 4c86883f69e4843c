package changes

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// ConsentPrefix begins the label of a pull request with which a reviewer consents to dangerous
// changes. The code of exactly these changes follows it: see Consent. The longest label has 48
// characters; GitHub allows 50 (github/docs, issue 32156).
const ConsentPrefix = "allow-dangerous-change:"

// Danger is a dangerous change as a consent is bound to it. It has no values: the consent is to the
// loss of the resource.
type Danger struct {
	Op  Op     `json:"op"`
	URN string `json:"urn"`
	// Was is the URN of the resource that is deleted instead, if the program gives it another name.
	Was string `json:"was,omitempty"`
	// Because are the paths of the properties that cause a replacement, sorted.
	Because []string `json:"because,omitempty"`
}

// Dangers returns what a consent to the changes of resources has to be bound to, sorted. It has no
// object of the cluster: a deployment, which needs this consent too, does not render.
func (r Report) Dangers() []Danger {
	var found []Danger
	for _, c := range r.dangerousResources() {
		d := Danger{Op: c.Op, URN: c.URN, Was: c.Was}
		for _, p := range c.Properties {
			if p.Replaces {
				d.Because = append(d.Because, p.Path)
			}
		}
		slices.Sort(d.Because)
		found = append(found, d)
	}
	slices.SortFunc(found, func(a, b Danger) int { return cmp.Or(cmp.Compare(a.URN, b.URN), cmp.Compare(a.Op, b.Op)) })
	return found
}

// coveredBy reports whether the consent to one danger also covers d: the same loss, for no other
// reason.
func (d Danger) coveredBy(consented Danger) bool {
	return d.Op == consented.Op && d.URN == consented.URN && d.Was == consented.Was &&
		!slices.ContainsFunc(d.Because, func(path string) bool { return !slices.Contains(consented.Because, path) })
}

// Widened returns the dangers that a consent to others does not cover.
func Widened(consented, now []Danger) []Danger {
	return slices.DeleteFunc(slices.Clone(now), func(d Danger) bool { return slices.ContainsFunc(consented, d.coveredBy) })
}

// Consent returns the code of the consent to the dangerous changes of a report's resources, or ""
// if there are none: the environment, and 80 bits of a hash over Dangers: too many to find other
// changes with the same code.
func (r Report) Consent() string {
	dangers := r.Dangers()
	if len(dangers) == 0 {
		return ""
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%q\n", r.Environment)
	for _, d := range dangers {
		fmt.Fprintf(sum, "%q %q %q %q\n", d.Op, d.URN, d.Was, d.Because)
	}
	return r.Environment + "-" + hex.EncodeToString(sum.Sum(nil)[:10])
}

// Consented reports whether one of the consents, which are labels or bare codes, is that with the
// code.
func Consented(consents []string, code string) bool {
	return slices.ContainsFunc(consents, func(c string) bool {
		return strings.TrimPrefix(strings.TrimSpace(c), ConsentPrefix) == code
	})
}
