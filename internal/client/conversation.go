package client

// conversation is what memory holds of one conversation.
type conversation struct{}
type sessions struct{}
