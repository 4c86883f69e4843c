package argocd

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/config"
	"github.com/gridos/sharedinfra/internal/naming"
)

// Notifications lists the recipients to which Argo CD reports the result of a commit. Without any
// recipient the controller is not installed.
type Notifications struct {
	// GitHubAppID and GitHubInstallationID are the numbers of a GitHub App that may write commit statuses, and of its
	// installation; GitHubKey is its private key in PEM.
	GitHubAppID, GitHubInstallationID string
	GitHubKey                         pulumi.StringInput
	// SlackChannel is the channel's name; SlackToken is that of a bot which is in it.
	SlackChannel string
	SlackToken   pulumi.StringInput
	// TeamsURL is the address of a workflow in Microsoft Teams; everyone who knows it can write
	// there.
	TeamsURL pulumi.StringInput
	// WebhookURL is an address to which Argo CD sends a JSON object; everyone who knows it can send
	// others.
	WebhookURL pulumi.StringInput
}

var digits = regexp.MustCompile(`^[0-9]+$`)

func loadNotifications(r *config.Reader) Notifications {
	n := Notifications{
		GitHubAppID:          r.String("notificationsGitHubAppId", ""),
		GitHubInstallationID: r.String("notificationsGitHubInstallationId", ""),
		GitHubKey:            secret(r, "notificationsGitHubPrivateKey"),
		SlackChannel:         r.String("notificationsSlackChannel", ""),
		SlackToken:           secret(r, "notificationsSlackToken"),
		TeamsURL:             secret(r, "notificationsTeamsUrl"),
		WebhookURL:           secret(r, "notificationsWebhookUrl"),
	}
	for key, value := range map[string]string{
		"notificationsGitHubAppId": n.GitHubAppID, "notificationsGitHubInstallationId": n.GitHubInstallationID,
	} {
		switch {
		case value == "" && (n.GitHubAppID != "" || n.GitHubInstallationID != "" || n.GitHubKey != nil):
			r.Check(key, errors.New("is empty, but other keys of the GitHub App are set; set all three or none"))
		case value != "" && !digits.MatchString(value):
			r.Check(key, fmt.Errorf("%q is not a number; copy it from the settings of the GitHub App", value))
		}
	}
	if n.GitHubKey == nil && (n.GitHubAppID != "" || n.GitHubInstallationID != "") {
		r.Check("notificationsGitHubPrivateKey", errors.New("is empty, but other keys of the GitHub App are set; set all three or none"))
	}
	if n.GitHubKey != nil && !strings.HasPrefix(r.String("notificationsGitHubPrivateKey", ""), "-----BEGIN ") {
		r.Check("notificationsGitHubPrivateKey", errors.New("is not a private key in PEM; set it with "+
			"`pulumi config set --secret notificationsGitHubPrivateKey < key.pem`"))
	}
	if n.SlackChannel == "" && n.SlackToken != nil {
		r.Check("notificationsSlackChannel", errors.New("is empty, but notificationsSlackToken is set; set both or none"))
	}
	if n.SlackToken == nil && n.SlackChannel != "" {
		r.Check("notificationsSlackToken", errors.New("is empty, but notificationsSlackChannel is set; set both or none"))
	}
	for _, key := range []string{"notificationsTeamsUrl", "notificationsWebhookUrl"} {
		if url := r.String(key, ""); url != "" && !strings.HasPrefix(url, "https://") {
			r.Check(key, errors.New("is not an https address; set it with `pulumi config set --secret "+key+" https://…`"))
		}
	}
	return n
}

// recipient is a service of Argo CD's notifications and what it needs.
type recipient struct {
	// service is its name in the configuration, name whom a subscription names.
	service, name string
	// selector selects the Applications to report on; empty selects all.
	selector string
	// settings refer to the secret as $<key>.
	settings map[string]any
	// key is the entry of the notifications' Secret, value the secret itself.
	key   string
	value pulumi.StringInput
}

func (n Notifications) recipients() []recipient {
	var list []recipient
	if n.GitHubKey != nil {
		list = append(list, recipient{
			service: "github", name: "github", key: "github-private-key", value: n.GitHubKey,
			// GitHub has no commit of a chart's repository or of another host. It would answer 404,
			// and Argo CD sends an undelivered notification again each time it looks at the
			// Application.
			selector: naming.LabelGitHost + " in (github.com, ssh.github.com)",
			settings: map[string]any{
				// Numbers in Argo CD's types, though they are names.
				"appID": json.Number(n.GitHubAppID), "installationID": json.Number(n.GitHubInstallationID),
				"privateKey": "$github-private-key",
			},
		})
	}
	if n.SlackToken != nil {
		list = append(list, recipient{
			service: "slack", name: "slack:" + n.SlackChannel, key: "slack-token", value: n.SlackToken,
			settings: map[string]any{"token": "$slack-token"},
		})
	}
	if n.TeamsURL != nil {
		list = append(list, recipient{
			service: "teams-workflows", name: "teams-workflows:gridos", key: "teams-url", value: n.TeamsURL,
			settings: map[string]any{"recipientUrls": map[string]string{"gridos": "$teams-url"}},
		})
	}
	if n.WebhookURL != nil {
		list = append(list, recipient{
			service: "webhook.gridos", name: "gridos", key: "webhook-url", value: n.WebhookURL,
			settings: map[string]any{"url": "$webhook-url"},
		})
	}
	return list
}

// event is something that happens to an Application and is reported.
type event struct {
	// name is both the trigger's and the template's.
	name string
	// when is the trigger's condition, as Argo CD's catalogue of triggers words it; once a commit.
	when string
	// says ends the sentence that begins with the Application's name.
	says string
	// state is the commit status on GitHub, colour how Teams shows it.
	state, colour string
}

func events() []event {
	const operation = "app.status.operationState != nil and "
	return []event{
		{"sync-running", operation + "app.status.operationState.phase in ['Running']", "is being synced", "pending", "Accent"},
		{
			"deployed",
			operation + "app.status.operationState.phase in ['Succeeded'] and app.status.health.status == 'Healthy'",
			"runs the new version", "success", "Good",
		},
		{"sync-failed", operation + "app.status.operationState.phase in ['Error', 'Failed']", "could not be synced", "error", "Attention"},
		{"degraded", "app.status.health.status == 'Degraded'", "is degraded", "failure", "Attention"},
	}
}

// Expressions of Argo CD's templates.
const (
	tellName     = "{{.app.metadata.name}}"
	tellURL      = "{{.context.argocdUrl}}/applications/{{.app.metadata.namespace}}/{{.app.metadata.name}}"
	tellRevision = "{{.app.status.sync.revision}}"
	// tellCommit is the commit that is, or was, synced. In the first moment of an operation, and
	// after one that could not begin, there is no result: then it is the commit that was compared
	// last. Argo CD's own default needs the result.
	tellCommit = "{{$commit := .app.status.sync.revision}}" +
		"{{with .app.status.operationState}}{{with .syncResult}}{{with .revision}}{{$commit = .}}{{end}}{{end}}{{end}}{{$commit}}"
)

func (e event) template(environment string) map[string]any {
	sentence := tellName + " " + e.says + " (" + environment + ", " + tellRevision + ")"
	return map[string]any{
		"message": sentence + "\n" + tellURL,
		"github": map[string]any{
			"status": map[string]string{"state": e.state, "label": "argocd/" + tellName, "targetURL": tellURL},
			// If this field cannot be rendered, the messages to all recipients fail.
			"revisionPath": tellCommit,
		},
		"teams-workflows": map[string]any{
			"themeColor": e.colour, "title": tellName + " " + e.says, "text": sentence, "summary": sentence,
			"potentialAction": `[{"@type": "OpenUri", "name": "Argo CD", "targets": [{"os": "default", "uri": "` + tellURL + `"}]}]`,
		},
		"webhook": map[string]any{"gridos": map[string]any{
			"method": "POST",
			"body": `{"environment": "` + environment + `", "application": "` + tellName + `", "event": "` + e.name +
				`", "revision": "` + tellRevision + `", "url": "` + tellURL + `"}`,
		}},
	}
}

// values returns the chart's values for the notifications but for their secrets.
func (n Notifications) values(environment string) (notificationsValues, error) {
	recipients := n.recipients()
	if len(recipients) == 0 {
		return notificationsValues{Enabled: false}, nil
	}
	v := notificationsValues{
		Enabled:   true,
		Notifiers: map[string]string{}, Templates: map[string]string{}, Triggers: map[string]string{},
		Secret: &notificationsSecretValues{Items: map[string]string{}},
	}
	selected := map[string]*subscriptionValues{}
	var errs []error
	text := func(value any) string {
		content, err := yaml.Marshal(value)
		errs = append(errs, err)
		return string(content)
	}
	for _, recipient := range recipients {
		v.Notifiers["service."+recipient.service] = text(recipient.settings)
		if selected[recipient.selector] == nil {
			selected[recipient.selector] = &subscriptionValues{Selector: recipient.selector}
		}
		subscription := selected[recipient.selector]
		subscription.Recipients = append(subscription.Recipients, recipient.name)
	}
	var triggers []string
	for _, e := range events() {
		v.Templates["template."+e.name] = text(e.template(environment))
		v.Triggers["trigger."+e.name] = text([]map[string]any{{
			"when": e.when, "send": []string{e.name}, "oncePer": "app.status.operationState?.syncResult?.revision",
		}})
		triggers = append(triggers, e.name)
	}
	for _, selector := range slices.Sorted(maps.Keys(selected)) {
		selected[selector].Triggers = triggers
		v.Subscriptions = append(v.Subscriptions, *selected[selector])
	}
	return v, errors.Join(errs...)
}
