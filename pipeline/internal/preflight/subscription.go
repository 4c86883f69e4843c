package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// subscriptions asks whether the subscription accepts deployments ("Subscriptions - Get",
// api-version 2022-12-01).
func (q asker) subscriptions(ctx context.Context) []Check {
	const concern = "subscription"
	var checks []Check
	if !strings.EqualFold(q.subscription, q.account.SubscriptionID) {
		checks = append(checks, problem(concern, "sign-in",
			fmt.Sprintf("signed in to %s, but the environment is for %s", q.account.SubscriptionID, q.subscription),
			"run az account set --subscription "+q.subscription))
	}
	answer, err := object[struct {
		State string `json:"state"`
	}](ctx, q, q.path("", "2022-12-01"))
	switch {
	case err != nil:
		return append(checks, unanswered(concern, q.subscription, err))
	case answer.State == "Enabled":
		return append(checks, good(concern, q.subscription, "enabled"))
	// Source: learn.microsoft.com, "Azure subscription states".
	case answer.State == "Disabled" || answer.State == "Deleted" || answer.State == "Expired" || answer.State == "Warned" ||
		answer.State == "PastDue":
		return append(checks, problem(concern, q.subscription, "its state is "+answer.State, "have its account renewed or paid"))
	default:
		return append(checks, unclear(concern, q.subscription, fmt.Sprintf("its state is %q", answer.State)))
	}
}

// recipients needs no answer: an example in the configuration receives nothing in any subscription.
func (n Needs) recipients() []Check {
	var checks []Check
	for _, address := range n.Examples {
		checks = append(checks, problem("recipient of alerts", address, "an example, to which no mail is delivered",
			"set alertEmails of infra to addresses of those who answer for "+n.Environment))
	}
	return checks
}

// provider is an entry of "Providers - List" (api-version 2021-04-01).
type provider struct {
	Namespace         string `json:"namespace"`
	RegistrationState string `json:"registrationState"`
}

func (q asker) providers(ctx context.Context) []Check {
	items, err := q.list(ctx, q.path("/providers", "2021-04-01"), "value")
	if err != nil {
		return []Check{unanswered("resource provider", some(q.needs.Namespaces), err)}
	}
	return q.needs.judgeProviders(items)
}

func (n Needs) judgeProviders(items []json.RawMessage) []Check {
	const concern = "resource provider"
	list, _ := decoded[provider](items)
	var checks []Check
	for _, namespace := range n.Namespaces {
		state := ""
		for _, p := range list {
			if strings.EqualFold(p.Namespace, namespace) {
				state = p.RegistrationState
			}
		}
		switch state {
		case "Registered":
			checks = append(checks, good(concern, namespace, "registered"))
		case "NotRegistered", "Unregistered", "Unregistering":
			checks = append(checks, problem(concern, namespace, "not registered", "run az provider register --wait --namespace "+namespace))
		case "Registering":
			checks = append(checks, problem(concern, namespace, "still being registered",
				"wait for it: az provider register --wait --namespace "+namespace))
		default:
			checks = append(checks, unclear(concern, namespace, fmt.Sprintf("its registration is %q", state)))
		}
	}
	return checks
}

// deletedVault is an entry of "Vaults - List Deleted" (Microsoft.KeyVault, api-version 2023-07-01).
type deletedVault struct {
	Name       *string `json:"name"`
	Properties struct {
		Location               string `json:"location"`
		ScheduledPurgeDate     string `json:"scheduledPurgeDate"`
		PurgeProtectionEnabled bool   `json:"purgeProtectionEnabled"`
	} `json:"properties"`
}

func (q asker) vault(ctx context.Context) []Check {
	items, err := q.list(ctx, q.path("/providers/Microsoft.KeyVault/deletedVaults", "2023-07-01"), "value")
	if err != nil {
		return []Check{unanswered("key vault", q.needs.Vault, err)}
	}
	return []Check{q.needs.judgeVault(items)}
}

// judgeVault is good with an empty list: nothing is deleted then.
func (n Needs) judgeVault(items []json.RawMessage) Check {
	const concern = "key vault"
	list, whole := decoded[deletedVault](items)
	for _, v := range list {
		if v.Name == nil || *v.Name == "" {
			whole = false
			continue
		}
		if !strings.EqualFold(*v.Name, n.Vault) {
			continue
		}
		found := fmt.Sprintf("a deleted vault in %s keeps the name until %s", v.Properties.Location, v.Properties.ScheduledPurgeDate)
		if v.Properties.PurgeProtectionEnabled {
			return problem(concern, n.Vault, found+", and is protected from purges",
				"recover it (az keyvault recover) and import it, or set another nameSuffix")
		}
		return problem(concern, n.Vault, found, "purge it (az keyvault purge), if what is in it does not matter, or set another nameSuffix")
	}
	if !whole {
		return unclear(concern, n.Vault, "not all deleted vaults can be read")
	}
	return good(concern, n.Vault, "no deleted vault of the subscription has the name")
}

// defender asks for the plan without which Azure accepts no reports from Defender's sensors in the
// cluster ("Pricings - Get", Microsoft.Security, api-version 2024-01-01).
func (q asker) defender(ctx context.Context) []Check {
	const concern, of = "Defender", "plan Containers"
	if !q.needs.Defender {
		return []Check{good(concern, of, "not needed: defender is false")}
	}
	answer, err := object[struct {
		Properties struct {
			PricingTier string `json:"pricingTier"`
		} `json:"properties"`
	}](ctx, q, q.path("/providers/Microsoft.Security/pricings/Containers", "2024-01-01"))
	switch {
	case err != nil:
		return []Check{unanswered(concern, of, err)}
	case answer.Properties.PricingTier == "Standard":
		return []Check{good(concern, of, "switched on")}
	case answer.Properties.PricingTier == "Free":
		return []Check{problem(concern, of, "switched off, so that Defender in the cluster raises no alerts",
			"run az security pricing create --name Containers --tier Standard, which costs money, or set defender to false")}
	default:
		return []Check{unclear(concern, of, fmt.Sprintf("its tier is %q", answer.Properties.PricingTier))}
	}
}
