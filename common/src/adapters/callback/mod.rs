//! Callbacks: Standard Webhooks signatures, the address filter, and the sender.
