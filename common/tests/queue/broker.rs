//! What RabbitMQ's adapter does when somebody meddles with its queues.

use super::fixture::*;
use boxoffice_common::ports::queue::{DeadLetterOffice, Lane, Queue, QueueError};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};

/// An operator's own way in. The connection must be kept.
async fn operator(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn delete(channel: &Channel, queue: String) {
    channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_declared_again_and_the_same_consumer_goes_on() {
    let (url, prefix) = (shared_url().await, prefix());
    let queue = connect(&url, &prefix).await.unwrap();
    let mut consumer = queue.consume(Lane::Checkouts, 10).await.unwrap();
    publish(&queue, works(Lane::Checkouts, 0..1)).await;
    take_all(&mut consumer, ids(0..1)).await;
    let (_connection, channel) = operator(&url).await;
    delete(&channel, format!("{prefix}.checkouts")).await;
    let consuming = tokio::spawn(async move { take_all(&mut consumer, ids(1..2)).await });
    eventually(true, || async { queue.publish(works(Lane::Checkouts, 1..2)).await.iter().all(Result::is_ok) }).await;
    within("the consumer", consuming).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_no_queue_takes_is_an_error_in_its_own_place() {
    let (url, prefix) = (shared_url().await, prefix());
    let queue = connect(&url, &prefix).await.unwrap();
    let (_connection, channel) = operator(&url).await;
    delete(&channel, format!("{prefix}.money")).await;
    let batch: Vec<_> = (0..90).map(|n| work(if n % 3 == 1 { Lane::Money } else { Lane::Checkouts }, n)).collect();
    let answers = queue.publish(batch).await;
    for (place, answer) in answers.into_iter().enumerate() {
        assert_eq!(matches!(answer, Err(QueueError::Refused(_))), place % 3 == 1, "{place}: {answer:?}");
    }
    publish(&queue, works(Lane::Money, 0..1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn depth_of_a_deleted_queue_is_an_error_and_then_nought() {
    let (url, prefix) = (shared_url().await, prefix());
    let queue = connect(&url, &prefix).await.unwrap();
    let (_connection, channel) = operator(&url).await;
    delete(&channel, format!("{prefix}.deliveries")).await;
    assert!(matches!(queue.depth(Lane::Deliveries).await, Err(QueueError::Unavailable(_))));
    eventually(Ok(0), || queue.depth(Lane::Deliveries)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_work_goes_to_the_dead_letters_and_holds_nothing_up() {
    let (url, prefix) = (shared_url().await, prefix());
    let queue = connect(&url, &prefix).await.unwrap();
    let (_connection, channel) = operator(&url).await;
    let properties = BasicProperties::default().with_delivery_mode(2);
    let exchange = format!("{prefix}.work");
    channel.basic_publish(exchange.into(), "checkouts".into(), BasicPublishOptions::default(), b"{nonsense", properties).await.unwrap();
    publish(&queue, works(Lane::Checkouts, 0..3)).await;
    let mut consumer = queue.consume(Lane::Checkouts, 1).await.unwrap();
    take_all(&mut consumer, ids(0..3)).await;
    eventually(1, async || queue.dead_letters(10).await.unwrap().total).await;
    assert_eq!(queue.dead_letters(10).await.unwrap().letters, []);
    assert_eq!(queue.redrive(10).await, Ok(0), "it would only die again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_login_is_told_at_once_and_no_secret_with_it() {
    let url = shared_url().await.replace("guest:guest", "guest:hunter2");
    let error = tokio::time::timeout(std::time::Duration::from_secs(15), connect(&url, &prefix())).await.unwrap().err().unwrap();
    assert!(error.to_string().contains("ACCESS_REFUSED") || error.to_string().contains("ACCESS"), "{error}");
    assert!(!error.to_string().contains("hunter2"));
    let error = connect("amqp://guest:hunter2@:::/", &prefix()).await.err().unwrap();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_declared_otherwise_is_told_at_once() {
    let (url, prefix) = (shared_url().await, prefix());
    let (_connection, channel) = operator(&url).await;
    let name = format!("{prefix}.money");
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    let error = tokio::time::timeout(std::time::Duration::from_secs(15), connect(&url, &prefix)).await.unwrap().err().unwrap();
    assert!(error.to_string().contains("money"), "{error}");
}
