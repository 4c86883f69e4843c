// Package notifications has Argo CD and Argo Rollouts tell people of releases, failed syncs and
// drift. What a recipient is reached with, such as a secret address, is in the key vault alone.
package notifications

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/gridos/sharedinfra/internal/config"
)

// Settings is who is told.
type Settings struct {
	// Recipients are names of services that are told: those of [Services].
	Recipients []string
	// GitHubAppID and GitHubInstallationID are the numbers of a GitHub App that may write commit
	// statuses, and of its installation.
	GitHubAppID, GitHubInstallationID string
	// SlackChannel is the channel's name; the bot whose token is in the key vault is in it.
	SlackChannel string
	// WebhookURL takes JSON objects. It is no secret: the token that is shown to it is, because the
	// controllers log the address of each webhook that they call (notifications-engine v0.5.0,
	// pkg/services/webhook.go, by the default of go-retryablehttp).
	WebhookURL string
}

// The services that can be told.
const (
	GitHub  = "github"
	Slack   = "slack"
	Teams   = "teams"
	Webhook = "webhook"
)

// Services returns the names of all services, as the configuration has them.
func Services() []string { return []string{GitHub, Slack, Teams, Webhook} }

// secrets are the entries of the controllers' Secrets.
var secrets = map[string]string{
	GitHub: "github-private-key", Slack: "slack-token", Teams: "teams-url", Webhook: "webhook-token",
}

// VaultSecret returns the name of the secret in the key vault with which a service is reached.
func VaultSecret(service string) string { return "notifications-" + secrets[service] }

// Namespaces are those in which the controllers read their Secret.
func (s Settings) Namespaces() []string {
	if len(s.Recipients) == 0 {
		return nil
	}
	return []string{namespaceOf[ArgoCD], namespaceOf[Rollouts]}
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// Load reads Settings, recording mistakes in r. prod has a recipient that people look at.
func Load(r *config.Reader, environment string) Settings {
	const (
		key               = "notificationsRecipients"
		app, installation = "notificationsGitHubAppId", "notificationsGitHubInstallationId"
		channel, webhook  = "notificationsSlackChannel", "notificationsWebhookUrl"
	)
	s := Settings{
		Recipients:  r.Strings(key, []string{}),
		GitHubAppID: r.String(app, ""), GitHubInstallationID: r.String(installation, ""),
		SlackChannel: r.String(channel, ""), WebhookURL: r.String(webhook, ""),
	}
	for i, name := range s.Recipients {
		switch {
		case !slices.Contains(Services(), name):
			r.Check(key, fmt.Errorf("%q is not known here; list some of %s", name, strings.Join(Services(), ", ")))
		case slices.Contains(s.Recipients[:i], name):
			r.Check(key, fmt.Errorf("%s is listed twice; list each service once", name))
		}
	}
	if environment == "prod" && !slices.ContainsFunc(s.Recipients, func(name string) bool { return name != GitHub }) {
		r.Check(key, errors.New(`names no chat and no webhook: no person would hear of a release that failed in prod; `+
			`list one, such as ["teams"], and put its address into the key vault`))
	}
	for _, of := range []struct{ key, value, service, what string }{
		{app, s.GitHubAppID, GitHub, "the number in the settings of the GitHub App"},
		{installation, s.GitHubInstallationID, GitHub, "the number in the address of the App's installation"},
		{channel, s.SlackChannel, Slack, "the channel's name"},
		{webhook, s.WebhookURL, Webhook, "the https address"},
	} {
		switch wanted := slices.Contains(s.Recipients, of.service); {
		case wanted && of.value == "":
			r.Check(of.key, fmt.Errorf("is empty, but notificationsRecipients lists %s; set %s", of.service, of.what))
		case !wanted && of.value != "":
			r.Check(of.key, fmt.Errorf("has no effect, because notificationsRecipients does not list %s; list it, or remove this key",
				of.service))
		case of.value != "" && of.service == GitHub && !digits.MatchString(of.value):
			r.Check(of.key, fmt.Errorf("%q is not a number; set %s", of.value, of.what))
		case of.value != "" && of.service == Webhook:
			r.Check(of.key, checkWebhook(of.value))
		}
	}
	return s
}

// checkWebhook: the token goes over the network by TLS alone, and is not in the address.
func checkWebhook(address string) error {
	parsed, err := url.Parse(address)
	switch {
	case err != nil || parsed.Host == "":
		return fmt.Errorf("%q is not an address; write it like https://hooks.example.com/gridos", address)
	case parsed.Scheme != "https" && !net.ParseIP(parsed.Hostname()).IsLoopback():
		return fmt.Errorf("%q is not an https address: all on the way would see the token; use https", address)
	}
	return config.CheckPublic(address)
}
