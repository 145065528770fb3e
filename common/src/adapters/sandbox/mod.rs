//! The sandbox payment provider: a stranger to the engine with a durable book of its own.
