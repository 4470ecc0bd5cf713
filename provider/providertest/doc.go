// Package providertest proves that stores can stand behind a provider: Audience
// those of provider/audience, Outbox those of provider/outbox, Account those of
// provider/account, Event those of provider/event.
package providertest
