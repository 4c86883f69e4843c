package azure

import (
	"regexp"

	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"
)

// groupTypes are resource groups.
func groupTypes() []definition {
	return []definition{
		typed[resources.ResourceGroup, resources.ResourceGroupArgs](definition{
			path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
			name: nameRule{
				// Azure allows 90 characters, but AKS makes a node label of the name.
				pattern: regexp.MustCompile(`^[A-Za-z0-9_.()-]{0,62}[A-Za-z0-9_()-]$`), id: "N1",
				say: "1 to 63 letters, digits, underscores, parentheses, hyphens and periods, no period at the end",
			},
			immutable: []string{"location"},
			checks:    []rule{locationRule},
			inUse:     "ResourceGroupNotEmpty",
			compute: func(subject) document {
				return document{"properties": map[string]any{"provisioningState": "Succeeded"}}
			},
		}, "resources"),
	}
}

// locationRule: a resource group has no parent whose location it could take.
var locationRule = rule{code: "LocationRequired", broken: func(s subject) []finding {
	if s.in.has("location") {
		return nil
	}
	return found("location", "The location property is required for this definition; set it, for example to westeurope")
}}
