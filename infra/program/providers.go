package program

// Namespaces returns the resource providers that a subscription has to have registered for an
// environment: those of the resources that the program registers, of the nodes that AKS makes of
// them (Compute), and of what runs in the cluster for Azure Policy and Defender (PolicyInsights,
// Security). Authorization, Consumption and Resources are registered in every subscription.
// Sources: learn.microsoft.com, "Azure resource providers and types"; azure-docs,
// azure-services-resource-providers, 2 June 2020.
func Namespaces() []string {
	return []string{
		"Microsoft.Compute",
		"Microsoft.ContainerRegistry",
		"Microsoft.ContainerService",
		"Microsoft.DBforPostgreSQL",
		"Microsoft.Insights",
		"Microsoft.KeyVault",
		"Microsoft.ManagedIdentity",
		"Microsoft.Network",
		"Microsoft.OperationalInsights",
		"Microsoft.PolicyInsights",
		"Microsoft.Security",
	}
}
