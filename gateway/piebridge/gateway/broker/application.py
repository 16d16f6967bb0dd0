"""The Celery application: the same settings for who puts tasks in and who takes them out."""

from celery import Celery

from piebridge.gateway.broker.names import Names
from piebridge.gateway.config import BrokerConfig

TASK_NAME = "piebridge.gateway.work_out"
"""The only task there is."""
CONNECT_SECONDS = 2.0
"""Longest wait for a connection to Redis."""
SOCKET_SECONDS = 5.0
"""Longest wait for an answer of Redis; more than a blocking read of Celery's (1 s) lasts."""
RESTORE_SECONDS = 1
"""How often unacknowledged tasks are looked at. Kombu's own interval (10 s, and only every tenth time) leaves the tasks
of a dead worker lying for about 100 s."""


def make_application(config: BrokerConfig, names: Names) -> Celery:
    """Return the application of one start of a gateway; nothing is connected yet."""
    application = Celery("piebridge-gateway", broker=config.url, backend="disabled://", set_as_current=False)
    application.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_default_queue=names.tasks,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,  # whoever can write to Redis could give orders
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,  # threads cannot be cancelled, and need not be
        broker_connection_retry=False,  # a worker that has lost Redis ends; Celery's own way back sometimes stalls
        broker_connection_retry_on_startup=False,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_pool_limit=1,
        broker_transport_options={
            "global_keyprefix": names.prefix,
            "visibility_timeout": config.visibility_seconds,
            "unacked_restore_interval": RESTORE_SECONDS,
            "unacked_restore_throttle": 1,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 5,
        },
    )
    return application
