// Package providertest proves that stores can stand behind a provider: Audience
// those of provider/audience, Outbox those of provider/outbox.
package providertest
