package notifications

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/gridos/sharedinfra/internal/naming"
)

// Controller is a program that sends notifications.
type Controller string

// The programs that send notifications.
const (
	ArgoCD   Controller = "Argo CD"
	Rollouts Controller = "Argo Rollouts"
)

// Values are the values by which the charts of both controllers configure notifications, but for
// those of their Secrets.
type Values struct {
	// Notifiers, Templates and Triggers are entries of a ConfigMap: YAML, by name.
	Notifiers     map[string]string `json:"notifiers,omitempty"`
	Templates     map[string]string `json:"templates"`
	Triggers      map[string]string `json:"triggers"`
	Subscriptions []Subscription    `json:"subscriptions,omitempty"`
	Secret        SecretValues      `json:"secret"`
}

// SecretValues say whether the chart creates the controller's Secret.
type SecretValues struct {
	// Create is false: External Secrets makes the Secret from the key vault.
	Create bool `json:"create"`
}

// Subscription says who is told of what.
type Subscription struct {
	Recipients []string `json:"recipients"`
	Triggers   []string `json:"triggers"`
	// Selector selects objects by their labels; empty selects all.
	Selector string `json:"selector,omitempty"`
}

// Event is what is told. Its texts are Go templates with the variables of the controller.
type Event struct {
	// Name is the template's name, and the event of the webhook's message. Trigger is the trigger's
	// name, if it is another.
	Name, Trigger string
	// When is the trigger's condition, and OncePer what must have changed before it is told again;
	// both are in the language of github.com/expr-lang/expr. Without OncePer it is told each time that
	// the condition becomes true.
	When, OncePer string
	// Says ends the sentence that begins with the object's name. Reason, if any, follows it.
	Says, Reason string
	// Revision is what the event is about: a commit, or an image.
	Revision string
	// State is that of the commit on GitHub, Colour how Teams shows the message.
	State, Colour string
	// OnlyGitHub leaves it out of chats: it is the state of a commit, and no news.
	OnlyGitHub bool
}

// Subject is what the events of a controller are about: templates.
type Subject struct {
	// Name is the object's name, URL the page that shows it.
	Name, URL string
	// Commit is the commit whose status GitHub shows, or "" if the controller knows none.
	Commit string
}

// service is a service of the notifications engine and what it needs.
type service struct {
	// of is its name in Settings, name that in the engine's configuration, and recipient whom a
	// subscription names.
	of, name, recipient string
	// selector selects the objects to report on; empty selects all.
	selector string
	// settings refer to the secret as $<entry>.
	settings map[string]any
}

func (s Settings) services() []service {
	all := map[string]service{
		GitHub: {
			name: "github", recipient: "github",
			// GitHub has no commit of a chart's repository or of another host. It would answer 404,
			// and Argo CD sends an undelivered notification again each time it looks at the
			// Application.
			selector: naming.LabelGitHost + " in (github.com, ssh.github.com)",
			settings: map[string]any{
				// Numbers in Argo CD's types, though they are names.
				"appID": json.Number(s.GitHubAppID), "installationID": json.Number(s.GitHubInstallationID),
				"privateKey": "$" + secrets[GitHub],
			},
		},
		Slack: {
			name: "slack", recipient: "slack:" + s.SlackChannel,
			settings: map[string]any{"token": "$" + secrets[Slack]},
		},
		Teams: {
			name: "teams-workflows", recipient: "teams-workflows:gridos",
			settings: map[string]any{"recipientUrls": map[string]string{"gridos": "$" + secrets[Teams]}},
		},
		Webhook: {
			name: "webhook.gridos", recipient: "gridos",
			settings: map[string]any{
				"url":     s.WebhookURL,
				"headers": []map[string]string{{"name": "Authorization", "value": "Bearer $" + secrets[Webhook]}},
			},
		},
	}
	var wanted []service
	for _, name := range Services() {
		if slices.Contains(s.Recipients, name) {
			one := all[name]
			one.of = name
			wanted = append(wanted, one)
		}
	}
	return wanted
}

// template is how an event is told: in YAML, with Go templates that the engine fills in, which has
// the functions of sprig (notifications-engine v0.5.0, pkg/templates/service.go).
func (e Event) template(environment string, about Subject) map[string]any {
	sentence := about.Name + " " + e.Says + " (" + environment + ", " + e.Revision + ")" + e.Reason
	message := map[string]any{
		"message": sentence + "\n" + about.URL,
		"teams-workflows": map[string]any{
			"themeColor": e.Colour, "title": about.Name + " " + e.Says, "text": sentence, "summary": sentence,
			"potentialAction": `[{"@type": "OpenUri", "name": "Argo CD", "targets": [{"os": "default", "uri": "` + about.URL + `"}]}]`,
		},
		"webhook": map[string]any{"gridos": map[string]any{
			"method": "POST",
			"body": `{"environment": "` + environment + `", "application": "` + about.Name + `", "event": "` + e.Name +
				`", "revision": "` + e.Revision + `", "url": "` + about.URL + `"}`,
		}},
	}
	if about.Commit != "" {
		message["github"] = map[string]any{
			"status": map[string]string{"state": e.State, "label": "argocd/" + about.Name, "targetURL": about.URL},
			// If this field cannot be rendered, the messages to all recipients fail.
			"revisionPath": about.Commit,
		}
	}
	return message
}

// Values returns the chart's values for the events of a controller. Triggers and templates are
// there without a recipient too.
func (s Settings) Values(environment string, about Subject, events []Event) (Values, error) {
	v := Values{Notifiers: map[string]string{}, Templates: map[string]string{}, Triggers: map[string]string{}}
	var errs []error
	text := func(value any) string {
		content, err := yaml.Marshal(value)
		errs = append(errs, err)
		return string(content)
	}
	var everyone, onGitHub []string
	for _, e := range events {
		v.Templates["template."+e.Name] = text(e.template(environment, about))
		trigger := e.Trigger
		if trigger == "" {
			trigger = e.Name
		}
		condition := map[string]any{"send": []string{e.Name}}
		if e.When != "" {
			condition["when"] = e.When
		}
		if e.OncePer != "" {
			condition["oncePer"] = e.OncePer
		}
		v.Triggers["trigger."+trigger] = text([]map[string]any{condition})
		onGitHub = append(onGitHub, trigger)
		if !e.OnlyGitHub {
			everyone = append(everyone, trigger)
		}
	}
	selected := map[string]*Subscription{}
	for _, service := range s.services() {
		triggers := everyone
		if service.of == GitHub {
			if about.Commit == "" {
				continue
			}
			triggers = onGitHub
		}
		v.Notifiers["service."+service.name] = text(service.settings)
		if selected[service.selector] == nil {
			selected[service.selector] = &Subscription{Selector: service.selector, Triggers: triggers}
		}
		selected[service.selector].Recipients = append(selected[service.selector].Recipients, service.recipient)
	}
	for _, selector := range slices.Sorted(maps.Keys(selected)) {
		v.Subscriptions = append(v.Subscriptions, *selected[selector])
	}
	return v, errors.Join(errs...)
}
