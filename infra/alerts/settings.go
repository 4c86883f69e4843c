package alerts

import (
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is who is told. Without a recipient there are no alerts.
type Settings struct {
	// Emails are addresses of people.
	Emails []string
	// Webhook is the https address of a program, or "". It is secret: what knows it can send to it.
	Webhook string
	Budget  Budget
}

// Wanted reports whether there is a recipient.
func (s Settings) Wanted() bool { return len(s.Emails) > 0 || s.Webhook != "" }

// What an action group takes. Source: azure-monitor-docs, azure-monitor-limits-action-groups.md, 25
// April 2023.
const (
	mostEmails   = 1000
	longestEmail = 64
)

// reserved is the end of a domain that receives no mail (RFC 2606, June 1999, sections 2 and 3; RFC
// 6761, February 2013, section 6).
var reserved = regexp.MustCompile(`(?i)[@.](test|example|invalid|localhost|example\.(com|net|org))$`)

// Examples are the addresses to which no mail is delivered.
func (s Settings) Examples() []string {
	var examples []string
	for _, address := range s.Emails {
		if reserved.MatchString(address) {
			examples = append(examples, address)
		}
	}
	return examples
}

// Load reads Settings with the defaults d, recording mistakes in r. prod has a recipient.
func Load(r *config.Reader, d Settings, environment string) Settings {
	const emails, webhook = "alertEmails", "alertWebhook"
	s := Settings{Emails: r.Strings(emails, d.Emails), Webhook: r.Secret(webhook)}
	s.Budget = loadBudget(r, s.Wanted())
	if environment == "prod" && !s.Wanted() {
		r.Check(emails, errors.New(`is empty, and so is alertWebhook: no person would hear that prod is down; `+
			`list addresses, such as ["oncall@gridos.example"]`))
	}
	if len(s.Emails) > mostEmails {
		r.Check(emails, fmt.Errorf("has %d addresses, but an action group takes %d; use a mailing list", len(s.Emails), mostEmails))
	}
	for i, address := range s.Emails {
		r.Check(emails, checkEmail(address))
		if slices.ContainsFunc(s.Emails[:i], func(other string) bool { return strings.EqualFold(other, address) }) {
			r.Check(emails, fmt.Errorf("%s is listed twice; list each address once", address))
		}
	}
	if strings.HasPrefix(strings.ToLower(s.Webhook), "http:") { // the address is not quoted
		r.Check(webhook, errors.New("is an address by plain HTTP, which shows it and the alerts to all on the way; use https"))
	}
	return s
}

func checkEmail(text string) error {
	parsed, err := mail.ParseAddress(text)
	switch {
	case err != nil || parsed.Address != text:
		return fmt.Errorf("%q is not the address of a mailbox; write it like oncall@gridos.example", text)
	case len(text) > longestEmail:
		return fmt.Errorf("%s has %d characters, but an action group takes %d; use a shorter address", text, len(text), longestEmail)
	}
	return nil
}
