package azure

import (
	"regexp"

	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
)

// groupTypes are resource groups.
func groupTypes() []Definition {
	return []Definition{
		Typed[resources.ResourceGroup, resources.ResourceGroupArgs](Definition{
			Path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
			Name: NameRule{
				// Azure allows 90 characters, but AKS makes a node label of the name.
				Pattern: regexp.MustCompile(`^[A-Za-z0-9_.()-]{0,62}[A-Za-z0-9_()-]$`), ID: "N1",
				Say: "1 to 63 letters, digits, underscores, parentheses, hyphens and periods, no period at the end",
			},
			Immutable: []string{"location"},
			Checks:    []Rule{locationRule},
			InUse:     "ResourceGroupNotEmpty",
			Compute: func(Subject) Document {
				return Document{"properties": map[string]any{"provisioningState": "Succeeded"}}
			},
		}, "resources"),
	}
}

// locationRule: a resource group has no parent whose location it could take.
var locationRule = Rule{Code: "LocationRequired", Broken: func(s Subject) []Finding {
	if s.In.Has("location") {
		return nil
	}
	return Found("location", "The location property is required for this definition; set it, for example to westeurope")
}}
